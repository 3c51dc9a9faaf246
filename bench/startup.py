"""How long do an import and a prediction take from a fresh process, and in how much memory, beside other imports?

Each round starts every side once, in turns; time is from the start of the process to its end. Memory is
the most that the process itself ever had resident (Linux only; else 0). The commands run on the kept models of
`tests/golden/models`. Rivals that are not installed are left out; theirs is the bare import, without any model.

    python bench/startup.py [rounds]
"""

from __future__ import annotations

import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from rivals.report import paste

from ostinato.version import __version__

HERE = Path(__file__).parent
MODELS = HERE.parent / "tests/golden/models/0.1.0"
LAST = """
try:
    lines = open('/proc/self/status').read().split('\\n')
    print(next(line.split()[1] for line in lines if line.startswith('VmHWM')), file=sys.stderr)
except OSError:
    print(0, file=sys.stderr)
"""
COMMAND = "from ostinato.cli.main import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
PREDICT = ["predict", str(MODELS / "forecast.safetensors")]
GENERATE = ["generate", str(MODELS / "characters.safetensors"), "--prime", "the rain", "--length", "40", "--seed", "1"]

SIDES: dict[str, tuple[str, list[str]]] = {
    "python": ("pass", []),
    "import numpy": ("import numpy", []),
    "import ostinato": ("import ostinato", []),
    "import ostinato.runtime": ("import ostinato.runtime", []),
    "ostinato predict": (COMMAND, PREDICT),
    "ostinato generate": (COMMAND, GENERATE),
}
RIVALS = ("onnxruntime", "torch")


class Row(msgspec.Struct, frozen=True):
    """Milliseconds, the least and the median of the rounds; memory in MB (10^6 bytes)."""

    side: str
    min: float
    median: float
    memory: float


def once(code: str, arguments: list[str]) -> tuple[float, float]:
    """Seconds and bytes of one process."""
    # Compiled files are kept, as in any installed package.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", f"import sys\n{code}\n{LAST}", *arguments]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return time.perf_counter() - begin, 1024.0 * int(done.stderr.split()[-1])


def main() -> None:
    """Measure, print and keep the result."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else 15
    rivals = {f"import {name}": (f"import {name}", []) for name in RIVALS if importlib.util.find_spec(name)}
    sides = SIDES | rivals
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, (code, arguments) in sides.items():
            measured = once(code, arguments)
            if turn:  # the first round fills the caches
                found[name].append(measured)
    rows = []
    for name, values in found.items():
        times = [1e3 * seconds for seconds, _ in values]
        rows.append(Row(name, min(times), statistics.median(times), max(memory for _, memory in values) / 1e6))
    table = ["The command is `python bench/startup.py`.", "", "| process | least ms | median ms | most MB |"]
    table += ["|---|--:|--:|--:|", *(f"| `{r.side}` | {r.min:.0f} | {r.median:.0f} | {r.memory:.1f} |" for r in rows)]
    print("\n".join(table))
    if sys.argv[1:]:
        return
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "ostinato": __version__,
        "rounds": rounds,
        "rows": rows,
    }
    path = HERE / "results" / "startup.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    paste("\n".join(table), HERE / "README.md", "startup")


if __name__ == "__main__":
    main()
