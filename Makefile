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
FREE := .venv-free
SANITIZE = $(BIN)/cmake -S native -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DCMAKE_CXX_COMPILER=g++ \
  -DPython_EXECUTABLE=$(abspath $(BIN)/python) -DOSTINATO_TESTS=ON

# What needs Clang (make CLANG=clang++-19 LLVM=-19 …): libFuzzer, MemorySanitizer, coverage. Of one instruction set, or it
# builds for half an hour.
CLANG := clang++
LLVM :=
CLANGED = $(BIN)/cmake -S native -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DCMAKE_CXX_COMPILER=$(CLANG) \
  -DOSTINATO_MODULE=OFF -DOSTINATO_BASELINE=ON
OSTINATO_FUZZ ?= 200000
FILES = OSTINATO_ATTACKS=$(abspath build/files/attacks) OSTINATO_SEEDS=$(abspath build/files/seeds)

.PHONY: demo test test-all test-plain test-runtime test-notebook free-threaded sanitize other-compilers memory files fuzz \
  coverage coverage-python drift example lint bench clean

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
	OMP_NUM_THREADS=1 $(PLAIN)/bin/python -m pytest -q -n 2 tests/laws/test_recurrence.py tests/saboteurs tests/golden/test_models.py \
	  tests/unit/tasks tests/unit/models

# The package without extras, as a deployed model needs it: no torch, the answers of the kept models, little memory.
test-runtime: pyproject.toml
	rm -rf $(RUNTIME)
	$(PYTHON) -m venv $(RUNTIME)
	$(RUNTIME)/bin/$(INSTALL) .
	$(RUNTIME)/bin/python tests/alone/check.py

# The runtime on a Python without the interpreter's lock (3.14 or later): make free-threaded PYTHON=python3.14t
free-threaded: pyproject.toml
	rm -rf $(FREE)
	$(PYTHON) -m venv $(FREE)
	$(FREE)/bin/$(INSTALL) . pytest hypothesis
	$(FREE)/bin/python -W error -c "import sys, ostinato.runtime; sys.exit(sys._is_gil_enabled())"
	$(FREE)/bin/python -m pytest -q tests/laws/test_threads.py tests/laws/test_snapshots.py

# A notebook's kernel, which is restarted and interrupted while it trains.
test-notebook: $(VENV)/.dev
	$(PIP) ipykernel jupyter_client
	$(TEST) tests/kills/test_notebook.py

# The compiled kernels under AddressSanitizer and UndefinedBehaviorSanitizer, alone and below the kernel laws (which try
# each instruction set themselves), then alone under ThreadSanitizer. The installed module stays as it is. Needs GCC.
sanitize: files
	$(PIP) cmake ninja nanobind
	$(SANITIZE) -B build/address -DOSTINATO_SANITIZE=address,undefined \
	  -DOSTINATO_VERSION=$$($(BIN)/python -c 'from ostinato.version import __version__; print(__version__)')
	$(BIN)/cmake --build build/address
	$(FILES) $(BIN)/ctest --test-dir build/address --output-on-failure
	OSTINATO_SANITIZED=$$(ls $(CURDIR)/build/address/_native*.so) PYTHONPATH=native/tests:src OMP_NUM_THREADS=1 \
	  ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	  $(BIN)/python -m pytest -q -p no:cacheprovider -k "native or steps" tests/laws/test_native.py tests/laws/test_native_refusals.py \
	  tests/laws/test_recurrence.py tests/laws/test_steps.py
	$(SANITIZE) -B build/thread -DOSTINATO_SANITIZE=thread -DOSTINATO_MODULE=OFF
	$(BIN)/cmake --build build/thread
	$(BIN)/ctest --test-dir build/thread --output-on-failure

# The native tests with another compiler, and those of NEON on an emulated ARM processor (which cannot fork with threads).
# Needs clang++; aarch64-linux-gnu-g++ and qemu-aarch64.
other-compilers: $(VENV)/.dev
	$(PIP) cmake ninja
	$(SANITIZE) -B build/clang -DCMAKE_CXX_COMPILER=$(CLANG) -DOSTINATO_MODULE=OFF
	$(BIN)/cmake --build build/clang
	$(BIN)/ctest --test-dir build/clang --output-on-failure
	$(SANITIZE) -B build/arm -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DOSTINATO_MODULE=OFF -DCMAKE_SYSTEM_NAME=Linux \
	  -DCMAKE_SYSTEM_PROCESSOR=aarch64 "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-L;/usr/aarch64-linux-gnu"
	$(BIN)/cmake --build build/arm
	$(BIN)/ctest --test-dir build/arm --output-on-failure --exclude-regex threads

# The same under MemorySanitizer, without the reader of model files: the C++ library is the system's, which is not built for it,
# and what lies in its trees (std::map) looks unwritten.
memory: $(VENV)/.dev
	$(PIP) cmake ninja
	$(CLANGED) -B build/memory -DOSTINATO_TESTS=ON -DOSTINATO_SANITIZE=memory \
	  -DCMAKE_CXX_FLAGS="-fsanitize-memory-track-origins -D_GLIBCXX_EXTERN_TEMPLATE=0"
	$(BIN)/cmake --build build/memory
	$(BIN)/ctest --test-dir build/memory --output-on-failure --exclude-regex file

# Hostile model files and small good ones, for the native tests.
files: $(VENV)/.dev
	$(BIN)/python -m tests.attacks.make_attacks build/files/attacks
	$(BIN)/python -m tests.fuzz.seeds build/files/seeds

# The reader of model files in C++ under libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer: OSTINATO_FUZZ inputs, each of
# which may take 32 MB at once and, since others may use the machine, ten seconds; the slowest one is printed. The
# corpus in build/fuzz is kept.
fuzz: files
	$(PIP) cmake ninja
	$(CLANGED) -B build/fuzz -DOSTINATO_FUZZ=ON -DOSTINATO_SANITIZE=address,undefined
	$(BIN)/cmake --build build/fuzz
	mkdir -p build/fuzz/corpus
	ASAN_OPTIONS=detect_stack_use_after_return=0:malloc_context_size=0:quarantine_size_mb=1:max_malloc_fill_size=0 build/fuzz/fuzz_file \
	  build/fuzz/corpus build/files/seeds -runs=$(OSTINATO_FUZZ) -max_len=6000 -timeout=10 -rss_limit_mb=512 -malloc_limit_mb=32 \
	  -artifact_prefix=build/fuzz/ -print_final_stats=1

# Which lines and branches of native/ its own tests reach, without the Python binding.
coverage: files
	$(PIP) cmake ninja
	$(CLANGED) -B build/coverage -DOSTINATO_TESTS=ON -DCMAKE_CXX_FLAGS="-fprofile-instr-generate -fcoverage-mapping"
	$(BIN)/cmake --build build/coverage
	rm -rf build/coverage/profiles
	$(FILES) LLVM_PROFILE_FILE=$(abspath build/coverage/profiles)/%p.profraw $(BIN)/ctest --test-dir build/coverage
	llvm-profdata$(LLVM) merge -o build/coverage/profile build/coverage/profiles/*.profraw
	llvm-cov$(LLVM) report build/coverage/tests/native_tests -instr-profile=build/coverage/profile \
	  -ignore-filename-regex=native/tests/ -show-branch-summary

# Which lines and branches of the Python package `make test` reaches, processes that tests start included: at least so many of a
# hundred branches. Takes twice the time of `make test`.
BRANCHES := 90
coverage-python: $(VENV)/.dev
	rm -rf build/coverage-python
	mkdir -p build/coverage-python
	$(TEST) -m "not slow" --cov --cov-report=
	$(BIN)/coverage report
	$(BIN)/coverage json --quiet -o build/coverage-python/found.json
	$(BIN)/python -c 'import json, sys; t = json.load(open("build/coverage-python/found.json"))["totals"]; \
	  print("%(percent_statements_covered).1f %% of %(num_statements)d lines, %(percent_branches_covered).1f %% of %(num_branches)d branches" % t); \
	  sys.exit(t["percent_branches_covered"] < $(BRANCHES) and "fewer than $(BRANCHES) % of the branches")'

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
	rm -rf $(VENV) $(PLAIN) $(RUNTIME) $(BENCH) $(FREE) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
