"""What does training with `precision="bf16"` bring on a CPU, and what does it cost in exactness?

Steps of gradients (forward, cross-entropy, backward) of an embedding, an LSTM and a dense layer to as many scores as
there are symbols, in float32 and with bf16 products, in turns, by the processor's time of one thread; and the relative
error of the gradient. The LSTM's compiled kernel computes in float32 both times, so that only the dense layer can gain.

    python bench/mixed_precision.py
"""

from __future__ import annotations

import platform
import time
from pathlib import Path

import msgspec
import torch

from ostinato.cells.lstm import LSTM
from ostinato.layers import Layer, Stack
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__

ROUNDS, BATCH, STEPS = 7, 32, 64
SIZES = ((65, 512), (2048, 256), (16384, 256))
CASES = {f"{symbols:,} symbols, LSTM {units}": (symbols, units) for symbols, units in SIZES}


def network(symbols: int, units: int) -> Stack:
    """The network, in training mode."""
    layers = [Embedding(symbols, 64), Recurrent(LSTM(units), return_sequences=True), Dense(symbols)]
    stack = Stack([Layer(part) for part in layers])
    stack.build((None,))
    stack.train()
    return stack


def step(stack: Stack, x: torch.Tensor, y: torch.Tensor, precision: str) -> tuple[float, torch.Tensor]:
    """Seconds, and the gradient."""
    stack.precision = precision
    for p in stack.parameters():
        p.grad = None
    began = time.process_time()
    loss = torch.nn.functional.cross_entropy(stack.run(x)[0].flatten(0, 1), y.flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    seconds = time.process_time() - began
    return seconds, torch.cat([p.grad.flatten() for p in stack.parameters() if p.grad is not None])


def main() -> None:
    """Measure, print and keep the result."""
    torch.set_num_threads(1)
    rows = []
    for name, (symbols, units) in CASES.items():
        stack = network(symbols, units)
        x, y = torch.randint(symbols, (2, BATCH, STEPS))
        times: dict[str, list[float]] = {"float32": [], "bf16": []}
        found = {}
        for _ in range(ROUNDS if symbols < 10_000 else 3):
            for precision, seen in times.items():
                seconds, found[precision] = step(stack, x, y, precision)
                seen.append(seconds)
        error = float((found["bf16"] - found["float32"]).norm() / found["float32"].norm())
        wide, rough = (min(seen) for seen in times.values())
        rows.append({"case": name, "float32 ms": wide * 1e3, "bf16 ms": rough * 1e3, "times faster": wide / rough,
                     "relative error of the gradient": error})  # fmt: skip
        print(f"{name:26} float32 {wide * 1e3:7.1f} ms, bf16 {rough * 1e3:7.1f} ms: x{wide / rough:.2f}, "
              f"error of the gradient {error:.1e}", flush=True)  # fmt: skip
    result = {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}",
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "unit": f"ms of processor time (one thread) a step of {BATCH} x {STEPS} symbols, smallest of {ROUNDS} in turns",
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "mixed_precision.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


if __name__ == "__main__":
    main()
