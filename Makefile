# Everything a fresh clone needs: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PIP := $(BIN)/$(INSTALL)
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2
NATIVE := $(shell find native -type f)
PLAIN := .venv-plain
RUNTIME := .venv-runtime
BENCH := .venv-bench
SANITIZE = $(BIN)/cmake -S native -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DCMAKE_CXX_COMPILER=g++ \
  -DPython_EXECUTABLE=$(abspath $(BIN)/python) -DOSTINATO_TESTS=ON

.PHONY: demo test test-all test-plain test-runtime sanitize other-compilers drift example lint bench clean

demo: $(VENV)/.train
	@mkdir -p demo
	$(BIN)/ostinato fit forecast src/ostinato/data/examples/airline.csv --horizon 12 --out demo/airline.safetensors

test: $(VENV)/.dev
	$(TEST) -m "not slow"

test-all: $(VENV)/.dev
	$(TEST)

# The same package on a machine without a compiler: it must install as plain Python, say so, and keep the laws.
test-plain: pyproject.toml
	rm -rf $(PLAIN)
	$(PYTHON) -m venv $(PLAIN)
	CC=/bin/false CXX=/bin/false $(PLAIN)/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt ".[dev]"
	$(PLAIN)/bin/ostinato doctor | grep "made without a compiler"
	OMP_NUM_THREADS=1 $(PLAIN)/bin/python -m pytest -q -n 2 tests/laws/test_recurrence.py tests/saboteurs tests/unit/tasks tests/unit/models

# The package without extras, as a deployed model needs it: no torch, the answers of the kept models, little memory.
test-runtime: pyproject.toml
	rm -rf $(RUNTIME)
	$(PYTHON) -m venv $(RUNTIME)
	$(RUNTIME)/bin/$(INSTALL) .
	$(RUNTIME)/bin/python tests/alone/check.py

# The compiled kernels under AddressSanitizer and UndefinedBehaviorSanitizer, alone and below the kernel laws (which try
# each instruction set themselves), then alone under ThreadSanitizer. The installed module stays as it is. Needs GCC.
sanitize: $(VENV)/.dev
	$(PIP) cmake ninja nanobind
	$(SANITIZE) -B build/address -DOSTINATO_SANITIZE=address,undefined \
	  -DOSTINATO_VERSION=$$($(BIN)/python -c 'from ostinato.version import __version__; print(__version__)')
	$(BIN)/cmake --build build/address
	$(BIN)/ctest --test-dir build/address --output-on-failure
	OSTINATO_SANITIZED=$$(ls $(CURDIR)/build/address/_native*.so) PYTHONPATH=native/tests:src OMP_NUM_THREADS=1 \
	  ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	  $(BIN)/python -m pytest -q -p no:cacheprovider -k "native or steps" tests/laws/test_native.py tests/laws/test_native_refusals.py \
	  tests/laws/test_recurrence.py tests/laws/test_steps.py
	$(SANITIZE) -B build/thread -DOSTINATO_SANITIZE=thread -DOSTINATO_MODULE=OFF
	$(BIN)/cmake --build build/thread
	$(BIN)/ctest --test-dir build/thread --output-on-failure

# The native tests with another compiler, and those of NEON on an emulated ARM processor (which cannot fork with threads).
# Needs clang++; aarch64-linux-gnu-g++ and qemu-aarch64.
CLANG := clang++
other-compilers: $(VENV)/.dev
	$(PIP) cmake ninja
	$(SANITIZE) -B build/clang -DCMAKE_CXX_COMPILER=$(CLANG) -DOSTINATO_MODULE=OFF
	$(BIN)/cmake --build build/clang
	$(BIN)/ctest --test-dir build/clang --output-on-failure
	$(SANITIZE) -B build/arm -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DOSTINATO_MODULE=OFF -DCMAKE_SYSTEM_NAME=Linux \
	  -DCMAKE_SYSTEM_PROCESSOR=aarch64 "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-L;/usr/aarch64-linux-gnu"
	$(BIN)/cmake --build build/arm
	$(BIN)/ctest --test-dir build/arm --output-on-failure --exclude-regex threads

# A hundred million steps of each cell beside the same in double precision (minutes).
drift: $(VENV)/.dev
	$(PIP) cmake ninja
	$(SANITIZE) -B build/plain -DOSTINATO_MODULE=OFF
	$(BIN)/cmake --build build/plain
	OSTINATO_STEPS=100000000 build/plain/tests/native_tests drift

# The step machine in C programs: one opens a model file, the other has model.h, which ostinato.convert.c_source makes of it.
example: $(VENV)/.dev
	$(PIP) cmake ninja
	$(BIN)/cmake -S native -B build/c -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DOSTINATO_MODULE=OFF -DOSTINATO_LIBRARY=ON
	$(BIN)/cmake --build build/c
	$(BIN)/python native/examples/model.py build/c/model.h build/c/model.safetensors
	cc -O2 -Inative/include -o build/c/open native/examples/open.c build/c/libostinato.a -lstdc++ -lpthread -ldl -lm
	cc -O2 -Ibuild/c -Inative/include -o build/c/stream native/examples/stream.c build/c/libostinato.a -lstdc++ -lpthread -ldl -lm
	printf '0.1 0.2\n0.3 0.4\n' | build/c/open build/c/model.safetensors
	printf '0.1 0.2\n0.3 0.4\n' | build/c/stream

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# In an environment of its own, where the rivals are; without them their columns stay empty.
bench: $(BENCH)/.done
	for file in bench/*.py; do $(BENCH)/bin/python $$file || exit 1; done

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ostinato needs Python 3.11 or later; run: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.train: pyproject.toml constraints.txt $(NATIVE) | $(VENV)/bin/python
	$(PIP) --editable ".[train]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(NATIVE) | $(VENV)/bin/python
	$(PIP) --editable ".[dev]"
	@touch $@ $(VENV)/.train

$(BENCH)/.done: pyproject.toml constraints.txt bench/requirements.txt $(NATIVE)
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/$(INSTALL) --editable ".[train]"
	$(BENCH)/bin/$(INSTALL) --requirement bench/requirements.txt || echo "some rivals are missing"
	@touch $@

clean:
	rm -rf $(VENV) $(PLAIN) $(RUNTIME) $(BENCH) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
