"""ostinato's compiled kernels: the layers' kernel for sequences, the stepper of the runtime for single steps."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch

from ostinato.kernels import KERNELS
from ostinato.runtime import native
from ostinato.version import __version__
from rivals.base import Rival, Way
from rivals.problem import POOLED, RAGGED_TRAIN, STEP, TRAIN, Floats, Problem, weigh


class Ours(Rival):
    """Side A of every comparison. Ways of single steps: one thread, which is the stepper's default, or as many as torch
    (OSTINATO_THREADS)."""

    @property
    def version(self) -> str:
        return __version__

    def ways(self, problem: Problem, kind: str) -> dict[str, Way]:
        kernel, call = KERNELS["native"], problem.call
        if kind in (STEP, POOLED):
            x = np.ascontiguousarray(problem.x[:, 0].numpy())
            return {f"{n} threads": Way(_stepper(problem, n, x), _read) for n in sorted({1, self.threads})}
        if kind in (TRAIN, RAGGED_TRAIN):
            weights = [problem.w["W"], problem.w["U"], *(v for k, v in problem.w.items() if k not in "WU")]

            def train() -> tuple[torch.Tensor, ...]:
                return torch.autograd.grad(kernel.forward(call)[0], weights, problem.slope)

            return {"native": Way(train, lambda found: weigh([g.numpy() for g in found[:2]]))}

        def infer() -> torch.Tensor:
            with torch.inference_mode():
                return kernel.forward(call)[0]

        return {"native": Way(infer, lambda y: y.numpy())}


def _stepper(problem: Problem, threads: int, x: Floats) -> Callable[[], Floats]:
    before = os.environ.get("OSTINATO_THREADS")
    os.environ["OSTINATO_THREADS"] = str(threads)
    try:
        stepper = native.Prepared(problem.cell, problem.arrays()).stepper(problem.size.batch)
    finally:
        del os.environ["OSTINATO_THREADS"]
        if before is not None:
            os.environ["OSTINATO_THREADS"] = before
    return lambda: stepper.step(x)


def _read(h: Floats) -> Floats:
    return h[:, None].copy()
