"""How much memory does a training step take beside torch's same layer?

Peak resident memory of three steps (forward, and the gradients of all weights), less what was resident before the first
one, when libraries, weights, inputs and threads are there. Each figure comes from a fresh process. Linux only: it
resets and reads the peak in `/proc/self`. For `gru`, torch's own GRU stands beside ours.

    python bench/memory.py [cell ...]
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import torch
from rivals.ours import Ours
from rivals.problem import NAMES, TRAIN, Problem, Size
from rivals.pytorch import PyTorch
from rivals.report import mean, paste

from ostinato.version import __version__

HERE = Path(__file__).parent
SIZES = (Size(64, 100, 128, 256), Size(32, 200, 512, 512), Size(16, 1000, 32, 64))
TINY = Size(2, 3, 4, 16)
SIDES = {"ours": Ours, "torch": PyTorch}
STEPS = 3
MEGA = 2**20


class Row(msgspec.Struct, frozen=True):
    """One line of the table, in MiB."""

    cell: str
    size: str
    ours: float
    torch: float
    ratio: float


def resident(field: str) -> int:
    """Bytes of `VmRSS` (now) or `VmHWM` (at most since the reset)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def growth(side: str, cell: str, size: Size) -> int:
    """Bytes that training steps take at most, in this process."""
    maker = SIDES[side](torch.get_num_threads())
    next(iter(maker.ways(Problem(cell, TINY), TRAIN).values())).run()
    step = next(iter(maker.ways(Problem(cell, size), TRAIN).values())).run
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    for _ in range(STEPS):
        step()
    return resident("VmHWM") - before


def apart(side: str, cell: str, number: int) -> float:
    """The same in a fresh process, in MiB."""
    command = [sys.executable, __file__, "--one", side, cell, str(number)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / MEGA


def main() -> None:
    """Measure, print and keep the result."""
    if sys.argv[1:2] == ["--one"]:
        print(growth(sys.argv[2], sys.argv[3], SIZES[int(sys.argv[4])]))
        return
    rows: list[Row] = []
    table = ["MiB; the command is `python bench/memory.py`.", "", "| cell | size | ours | torch | ours over torch |"]
    table.append("|---|---|--:|--:|--:|")
    for cell in sys.argv[1:] or NAMES:
        for number, size in enumerate(SIZES):
            ours, theirs = (apart(side, cell, number) for side in SIDES)
            rows.append(Row(cell, str(size), ours, theirs, ours / theirs))
            table.append(f"| `{cell}` | {size} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |")
            print(table[-1], flush=True)
    ratios = [row.ratio for row in rows]
    table += ["", f"Geometric mean {mean(ratios):.2f}, most {max(ratios):.2f}."]
    print(table[-1])
    if sys.argv[1:]:
        return
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "unit": "MiB, peak resident memory of training steps less that before them",
        "rows": rows,
    }
    path = HERE / "results" / "memory.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    paste("\n".join(table), HERE / "README.md", "memory")


if __name__ == "__main__":
    main()
