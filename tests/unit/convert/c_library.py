"""The C library of native/ with one instruction set, hardly optimised, compiled once for all tests."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[3] / "native"
compiler = pytest.mark.skipif(not (shutil.which("cc") and shutil.which("c++")), reason="there is no C and C++ compiler")

_MACHINE = [
    *(f.stem for f in sorted(NATIVE.glob("*.cpp")) if f.stem != "bind"),
    "isa/baseline",
    "isa/dispatch",
    "file/steps",
]
_READER = [f"file/{f.stem}" for f in sorted(NATIVE.glob("file/*.cpp")) if f.stem != "steps"]
_FLAGS = ("-std=gnu++20", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi")


def library() -> Path:
    """The folder with `libostinato.a` and `libreader.so`; made anew after any change in native/."""
    digest = hashlib.sha256(repr((_FLAGS, _MACHINE, _READER)).encode())
    for file in sorted([*NATIVE.rglob("*.cpp"), *NATIVE.rglob("*.h"), *NATIVE.rglob("*.hpp")]):
        digest.update(file.read_bytes())
    folder = Path(tempfile.gettempdir()) / f"ostinato-tests-{os.getuid()}" / digest.hexdigest()[:32]
    if not folder.exists():
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=folder.parent))
        _build(made)
        try:
            made.rename(folder)
        except OSError:  # another process was quicker
            shutil.rmtree(made)
    return folder


def _build(folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        machine = list(pool.map(lambda name: _compiled(name, folder), _MACHINE))
        reads = list(pool.map(lambda name: _compiled(name, folder), [*_READER, "tests/door"]))
    subprocess.run(["ar", "rc", folder / "libostinato.a", *machine, *reads[:-1]], check=True)
    subprocess.run(["c++", "-shared", "-o", folder / "libreader.so", *reads], check=True)


def _compiled(name: str, folder: Path) -> Path:
    target = folder / f"{name.replace('/', '-')}.o"
    level = "-O0" if name.startswith("isa") else "-O1"
    source = NATIVE / f"{name}.cpp"
    subprocess.run(["c++", level, *_FLAGS, "-I", NATIVE / "include", "-c", source, "-o", target], check=True)
    return target


def program(source: Path, target: Path, *includes: Path) -> Path:
    """Compile a C program with the library."""
    include = [part for folder in (*includes, NATIVE / "include") for part in ("-I", folder)]
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    compiled = target.with_suffix(".o")
    subprocess.run(["cc", *strict, *include, "-c", source, "-o", compiled], check=True)
    subprocess.run(["c++", "-o", target, compiled, library() / "libostinato.a", "-lpthread", "-ldl", "-lm"], check=True)
    return target


def reader() -> Callable[..., str]:
    """`answer(data, numbers=True)`: "accepted", or the code with which the C++ reader refuses a file.

    Without `numbers` it looks at the header, the layers and the list of tensors alone.
    """
    call = ctypes.CDLL(str(library() / "libreader.so")).reader_answer
    call.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p]
    code = ctypes.create_string_buffer(64)

    def answer(data: bytes, *, numbers: bool = True) -> str:
        return code.value.decode() if call(data, len(data), numbers, code) else "accepted"

    return answer
