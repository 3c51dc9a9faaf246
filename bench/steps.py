"""What does one step of every kind of layer cost: from a C program, from Python, and layer after layer in Python?

One layer of 64 units for 16 inputs a step (an LSTM where the row is about another layer). From C: `ostinato_step` in a
loop, in a program that is compiled here with `c_source`'s numbers and the static library. From Python: `Stream.step`
into an array that is kept. Layer after layer: what a network streams by that has a layer without a native step. Each is
the least of many short rounds on one thread; the three are taken in turns.

    python bench/steps.py [--library build/c/libostinato.a] [--draft]

Needs a C compiler, and CMake unless `make example` has built the library.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rivals.networks import random_network
from rivals.report import paste
from rivals.rounds import least

from ostinato.cells import CELLS
from ostinato.convert.c_source import c_source
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.runtime import Network, native
from ostinato.runtime.plain_steps import PlainSteps
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__

HERE = Path(__file__).parent
NATIVE = HERE.parent / "native"
INPUTS, UNITS, ROUNDS = 16, 64, 5

PROGRAM = """
#include <stdio.h>
#include <time.h>
#include "model.h"
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
int main(void) {
    ostinato_stack* const stack = model_stack(NULL);
    ostinato_machine* const machine = stack ? ostinato_machine_new(stack, 1, OSTINATO_REFUSE, 1) : NULL;
    if (!machine) return 1;
    float x[MODEL_INPUTS], y[4096];
    const int64_t row = 0;
    double best = 1;
    for (int i = 0; i < MODEL_INPUTS; ++i) x[i] = 0.01f * (float)(i + 1);
    for (int round = 0; round < 400; ++round) {
        const double began = now();
        for (int k = 0; k < 200; ++k) if (ostinato_step(machine, &row, 1, x, y)) return 2;
        const double took = (now() - began) / 200;
        if (took < best) best = took;
    }
    printf("%.9g", best);
    return 0;
}
"""


def recurrent(name: str, **options: Any) -> Part:
    """One recurrent layer of all its outputs."""
    return Recurrent(CELLS[name](UNITS), return_sequences=True, **options)


NETWORKS: dict[str, list[Part]] = {
    **{f"`{name}`": [recurrent(name)] for name in CELLS},
    "`lstm` of softsign and hard_sigmoid": [
        Recurrent(
            replace(CELLS["lstm"](UNITS), activation="softsign", recurrent_activation="hard_sigmoid"),
            return_sequences=True,
        )
    ],
    "`lstm` with zoneout": [recurrent("lstm", zoneout=0.1)],
    "Masking, `lstm`": [Masking(), recurrent("lstm")],
    "`lstm`, Dense(64, softplus), LayerNorm": [recurrent("lstm"), Dense(UNITS, "softplus"), LayerNorm()],
}


class Row(msgspec.Struct, frozen=True):
    """Microseconds a step."""

    layers: str
    c: float
    python: float
    plain: float


class Found(msgspec.Struct, frozen=True):
    """All rows, and the machine that they are from."""

    machine: str
    isa: str
    version: str
    rows: list[Row]


def library(folder: Path) -> Path:
    """The static library, built."""
    subprocess.run(["cmake", "-S", NATIVE, "-B", folder, "-DOSTINATO_MODULE=OFF", "-DOSTINATO_LIBRARY=ON"], check=True)
    subprocess.run(["cmake", "--build", folder, "--parallel", "2"], check=True)
    return folder / "libostinato.a"


def program(model: Network, archive: Path, folder: Path) -> Path:
    """A C program that prints the seconds of a step."""
    folder.mkdir()
    (folder / "model.h").write_text(c_source(model), "utf-8")
    (folder / "step.c").write_text(PROGRAM, "utf-8")
    subprocess.run(
        ["cc", "-O2", "-std=gnu11", "-I", folder, "-I", NATIVE / "include", "-o", folder / "step", folder / "step.c",
         archive, "-lstdc++", "-lpthread", "-ldl", "-lm"], check=True,
    )  # fmt: skip
    return folder / "step"


def measure(layers: str, model: Network, step: Path) -> Row:
    """One row; outputs of the two ways of Python are compared first."""
    stream, plain = model.stream(), PlainSteps(model.stepping.network, 1, "raise")
    if model.stepping.plain is not None:
        raise SystemExit(f"{layers}: {model.stepping.plain}")
    x, row = np.linspace(0.01, 0.16, INPUTS, dtype=np.float32), np.zeros(1, np.int64)
    out, other = np.empty((1, *model.stepping.network.out_shape), np.float32), np.empty(0, np.float32)
    other = plain.step(row, x[None], out=np.empty_like(out))
    if not np.allclose(stream.step(x), other, atol=1e-5):
        raise SystemExit(f"{layers}: the two ways compute different outputs")
    times: dict[str, list[float]] = {"c": [], "python": [], "plain": []}
    for _ in range(ROUNDS):
        times["c"].append(float(subprocess.run([step], capture_output=True, check=True, text=True).stdout))
        times["python"].append(least(lambda: stream.step(x, out[0]), 200, 200))
        times["plain"].append(least(lambda: plain.step(row, x[None], out=other), 20, 20))
    return Row(layers, *(1e6 * min(t) for t in times.values()))


def markdown(found: Found) -> str:
    """The table."""
    lines = [f"{found.machine}, {found.isa}; ostinato {found.version}. Microseconds a step.", "",
             "| layers | from C | from Python | layer after layer |", "|---|--:|--:|--:|"]  # fmt: skip
    lines += [f"| {r.layers} | {r.c:.2f} | {r.python:.2f} | {r.plain:.0f} |" for r in found.rows]
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, help="libostinato.a, if it is built")
    parser.add_argument("--draft", action="store_true", help="keep nothing")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        archive = asked.library or library(Path(name) / "library")
        rows = [
            measure(layers, model, program(model, archive.resolve(), Path(name) / str(i)))
            for i, (layers, model) in enumerate((k, random_network(parts, INPUTS)) for k, parts in NETWORKS.items())
        ]
    cpu = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    found = Found(cpu, native.engine(), __version__, rows)
    print(markdown(found))
    if not asked.draft:
        path = HERE / "results" / "steps.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        paste(markdown(found), HERE / "README.md", "steps")


if __name__ == "__main__":
    main()
