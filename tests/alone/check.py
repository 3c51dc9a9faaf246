"""What an install without extras must do; run by its own Python, which has neither torch nor pytest.

    make test-runtime

The models of `tests/golden/models` are run by the commands that need no torch. Memory is that of Linux; elsewhere it is
not measured.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODELS = max(path.parent for path in (ROOT / "tests/golden/models").glob("*/answers.json"))
KEPT: dict[str, Any] = json.loads((MODELS / "answers.json").read_text("utf-8"))
ABSENT = ("torch", "polars", "pandas", "matplotlib", "sklearn", "safetensors", "tokenizers", "mido", "array_api_compat")
CLOSE = 1e-6

IMPORTED = 45e6
"""Most bytes resident after `import ostinato.runtime`."""

PREDICTED = 60e6
"""Most bytes that `ostinato predict` and `ostinato generate` ever have resident."""

COMMAND = Path(sys.executable).with_name("ostinato")


def need(true: bool, what: str) -> None:
    """Stop at the first thing that does not hold."""
    if not true:
        sys.exit(f"tests/alone: {what}")


def run(*words: object, code: int = 0, given: str = "") -> str:
    """Run `ostinato`, away from the source, with a few lines `given` on its standard input; its output and its errors.

    It must end with `code`.
    """
    process = subprocess.Popen(
        [COMMAND, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        cwd=tempfile.gettempdir(),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(given.encode())
    process.stdin.close()
    shown = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    need(process.returncode == code, f"ostinato {words[0]} ended with {process.returncode}: {shown}")
    if sys.platform == "linux":
        most = used.ru_maxrss * 1024
        print(f"  ostinato {words[0]}: at most {most / 1e6:.1f} MB")
        need(most <= PREDICTED, f"ostinato {words[0]} must stay below {PREDICTED / 1e6:g} MB, got {most / 1e6:.1f}")
    return shown


def nothing_heavy_is_installed() -> None:
    """The environment is the one that is meant."""
    found = [name for name in ABSENT if importlib.util.find_spec(name)]
    need(not found, f"an install without extras must not bring {found}")
    need("site-packages" in str(importlib.util.find_spec("ostinato").origin), "the source tree must not be imported")


def the_runtime_is_small() -> None:
    """Memory after the import."""
    if sys.platform != "linux":
        return
    code = "import ostinato.runtime; print(open('/proc/self/statm').read().split()[1])"
    pages = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=tempfile.gettempdir())
    size = int(pages.stdout) * os.sysconf("SC_PAGESIZE")
    print(f"  import ostinato.runtime: {size / 1e6:.1f} MB")
    need(size <= IMPORTED, f"ostinato.runtime must take at most {IMPORTED / 1e6:g} MB, got {size / 1e6:.1f}")


def models_give_their_answers() -> None:
    """All kept models, of every release."""
    subprocess.run([sys.executable, ROOT / "tests/golden/models/answers.py"], check=True, cwd=tempfile.gettempdir())


def doctor() -> None:
    """It says that torch is missing, and what to do."""
    shown = run("doctor")
    need('torch       missing: pip install "ostinato[train]"' in shown, f"doctor must say what is missing: {shown}")
    need("kernels of the runtime" in shown, "doctor must show the kernels of the runtime")


def predict() -> None:
    """Forecasts of the series of training, and of a file; their scores."""
    path = MODELS / "forecast.safetensors"
    _same_table(run("predict", path), "known")
    columns = KEPT["forecast"]["question"]
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder, "history.csv"), Path(folder, "next.csv")
        with data.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
        run("predict", path, data, "--out", out)
        _same_table(out.read_text("utf-8"), "given")
        need("in 80 %" in run("evaluate", path, data), "evaluate must score forecasts")
        refused = run("predict", path, data, "--sha256", "0" * 64, code=2)
        need("[pin]" in refused, f"another file than the one asked for must be refused: {refused}")


def _same_table(text: str, kind: str) -> None:
    rows = list(csv.DictReader(io.StringIO(text)))
    wanted = {k.removeprefix(f"{kind} "): v for k, v in KEPT["forecast"]["answers"].items() if k.startswith(kind)}
    need(list(rows[0]) == list(wanted), f"predict must give the columns {list(wanted)}, got {list(rows[0])}")
    for name, column in wanted.items():
        for row, value in zip(rows, column, strict=True):
            if isinstance(value, str):  # a date alone is written without its time
                need(value.startswith(row[name]), f"{name} must be {value}, got {row[name]}")
            else:
                close = abs(float(row[name]) - value) <= CLOSE * max(1.0, *map(abs, column))
                need(close, f"{name} must be {value}, got {row[name]}")


def generate() -> None:
    """Texts of two vocabularies, and a tune."""
    for name in ("characters", "words"):
        path, kept = MODELS / f"{name}.safetensors", KEPT[name]
        for options, key in ((("-t", 0), "greedy"), (("--seed", 1), "drawn")):
            shown = run("generate", path, "--prime", kept["question"], "-n", 40, *options)
            text = "".join(line for line in shown.splitlines(keepends=True) if not line.startswith("ostinato: note: "))
            need(
                text.removesuffix("\n") == kept["answers"][key],
                f"generate must give {kept['answers'][key]!r}: {shown}",
            )
    with tempfile.TemporaryDirectory() as folder:
        tune = Path(folder, "tune.mid")
        run("generate", MODELS / "midi.safetensors", "-n", 40, "-t", 0, "--out", tune)
        need(tune.read_bytes().hex() == KEPT["midi"]["answers"]["greedy"], "generate must give the same tune")


def stream() -> None:
    """A text in two pieces, with the state in a file between them, costs what it costs at once."""
    path, kept = MODELS / "characters.safetensors", KEPT["characters"]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "state")
        parts = (kept["question"][:3], kept["question"][3:])
        lines = [run("stream", path, "--snapshot", state, given=json.dumps(part) + "\n") for part in parts]
    nats = sum(json.loads(line)["nats"] for line in lines)
    need(abs(nats + kept["answers"]["log probability"]) < 1e-4, f"the text must cost the same in pieces: {lines}")


def training_says_what_it_needs() -> None:
    """One sentence with the line that brings torch."""
    shown = run("fit", "forecast", "x.csv", "--out", "x.safetensors", code=2)
    need('pip install "ostinato[train]"' in shown and "Traceback" not in shown, f"fit must say what it needs: {shown}")
    for line in ("from ostinato import Sequential", "from ostinato.layers import LSTM", "import ostinato.nn"):
        code = f"try: {line}\nexcept ImportError as error: print(type(error).__name__, error)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
        good = done.stdout.startswith("MissingDependency ") and 'pip install "ostinato[train]"' in done.stdout
        need(good, f"{line!r} must say what it needs: {done.stdout}")


CHECKS: tuple[Callable[[], None], ...] = (
    nothing_heavy_is_installed, the_runtime_is_small, models_give_their_answers, doctor, predict, generate, stream,
    training_says_what_it_needs,
)  # fmt: skip

if __name__ == "__main__":
    for check in CHECKS:
        print(check.__name__.replace("_", " "), flush=True)
        check()
