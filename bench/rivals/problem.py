"""One size of one cell: the numbers that every side computes with, and what must come out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.cells import CELLS, Cell
from ostinato.kernels.base import Call, Kernel

Floats = NDArray[np.float32]

INFER, TRAIN, RAGGED_INFER, RAGGED_TRAIN, STEP, POOLED = KINDS = (
    "infer", "train", "ragged infer", "ragged train", "one step", "1,024 pooled rows",
)  # fmt: skip
"""What is measured: a pass over whole sequences, the same with the gradients of all weights, and single steps whose
states are fed back."""

NAMES = ("lstm", "gru", "gru_reset_after", "simple_rnn")
"""The cells, in the tables' order."""


class Size(NamedTuple):
    """Batch, time, inputs, units; `shortest` gives a ragged batch with lengths from there to `time`."""

    batch: int
    time: int
    inputs: int
    units: int
    shortest: int = 0

    def __str__(self) -> str:
        text = f"B{self.batch} T{self.time} I{self.inputs} H{self.units}"
        return f"{text}, lengths {self.shortest}–{self.time}" if self.shortest else text

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is measured of it."""
        if self.time == 1:
            return (POOLED,) if self.batch > 1 else (STEP,)
        return (RAGGED_INFER, RAGGED_TRAIN) if self.shortest else (INFER, TRAIN)


GRID = (
    Size(32, 50, 64, 128),
    Size(32, 100, 1, 50),
    Size(64, 100, 128, 256),
    Size(32, 200, 512, 512),
    Size(16, 1000, 32, 64),
    Size(1, 100, 1, 32),
    Size(32, 50, 64, 128, 19),
    Size(32, 500, 16, 64, 10),
    Size(1, 1, 16, 64),
    Size(1024, 1, 16, 64),
)


class Problem:
    """One size of one cell.

    Args:
        name: Key of the cell.
        size: The shapes.
    """

    def __init__(self, name: str, size: Size) -> None:
        self.name, self.size = name, size
        generator = torch.Generator().manual_seed(0)
        self.cell: Cell = CELLS[name](size.units)
        limit = size.units**-0.5
        self.w = {
            key: (torch.rand(w.shape, generator=generator) * 2 - 1).mul_(limit).requires_grad_()
            for key, w in self.cell.weights(size.inputs).items()
        }
        self.x = torch.randn(size.batch, size.time, size.inputs, generator=generator)
        self.state = tuple(torch.zeros(size.batch, size.units) for _ in self.cell.states)
        self.lengths = torch.full((size.batch,), size.time)
        if size.shortest:
            self.lengths = torch.randint(size.shortest, size.time + 1, (size.batch,), generator=generator)
            self.lengths[0] = size.time
        self.mask = torch.arange(size.time)[None] < self.lengths[:, None] if size.shortest else None
        self.slope = torch.ones(size.batch, size.time, size.units)

    @property
    def call(self) -> Call:
        """The run, as ostinato's kernels take it."""
        return Call(self.cell, self.w, self.x, self.state, self.mask)

    def arrays(self) -> dict[str, Floats]:
        """The weights as NumPy arrays."""
        return {key: value.detach().numpy() for key, value in self.w.items()}

    def truth(self, *, training: bool) -> Floats:
        """By the plain formula: the outputs, or the gradients' sizes as `weigh` gives them."""
        y = Kernel().forward(self.call)[0]
        if not training:
            return y.detach().numpy()
        return weigh([g.numpy() for g in torch.autograd.grad(y, [self.w["W"], self.w["U"]], self.slope)])

    def flops(self, *, training: bool) -> float:
        """Arithmetic that is needed: two per weight and step; again for the slopes of h, again for those of weights."""
        gates, units, inputs = len(self.cell.gates), self.size.units, self.size.inputs
        tokens = float(self.lengths.sum())
        one, recurrent = 2 * tokens * gates * units * (inputs + units), 2 * tokens * gates * units * units
        return 2 * one + recurrent if training else one

    def functions(self) -> dict[str, float]:
        """How many sigmoids and tanhs the forward pass needs."""
        numbers = float(self.lengths.sum()) * self.size.units
        tanhs = 2 if self.name == "lstm" else 1
        return {"sigmoid": numbers * (len(self.cell.gates) - 1), "tanh": numbers * tanhs}


def weigh(gradients: list[Floats]) -> Floats:
    """Sums of the absolute gradients of W and U, which do not depend on the order or the sign of a library's gates."""
    return np.array([np.abs(g).sum(dtype=np.float64) for g in gradients])


def signed(problem: Problem, order: str) -> dict[str, Floats]:
    """The weights with their blocks of gates in another order.

    Args:
        problem: Has the weights.
        order: One letter a gate. Where `gru` meets a library whose z weighs the old state, its z is negated, since
            1 - sigmoid(a) = sigmoid(-a).
    """
    units, found = problem.size.units, {}
    for key, value in problem.arrays().items():
        blocks = dict(zip(problem.cell.gates, np.split(value, value.shape[-1] // units, axis=-1), strict=True))
        if problem.name == "gru":
            blocks["z"] = -blocks["z"]
        found[key] = np.concatenate([blocks[gate] for gate in order], axis=-1) if len(blocks) > 1 else value
    return found
