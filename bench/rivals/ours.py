"""ostinato's compiled kernels: the layers' kernel for sequences, streams and pools of the runtime for one row and for
single steps."""

from __future__ import annotations

import numpy as np
import torch

from ostinato.kernels import KERNELS
from ostinato.runtime import Network
from ostinato.scans.recurrent import Recurrent
from ostinato.version import __version__
from rivals.base import Rival, Way
from rivals.problem import POOLED, RAGGED_TRAIN, STEP, TRAIN, Floats, Problem, weigh


class Ours(Rival):
    """Side A of every comparison. A stream is on one thread; ways of a pool: one, or as many as torch."""

    @property
    def version(self) -> str:
        return __version__

    def ways(self, problem: Problem, kind: str) -> dict[str, Way]:
        kernel, call = KERNELS["native"], problem.call
        if kind in (STEP, POOLED):
            x = np.ascontiguousarray(problem.x[:, 0].numpy())
            counts = {1} if kind == STEP else {1, self.threads}
            return {f"{n} threads, {array} array": _steps(problem, n, x, new=array == "new")
                    for n in sorted(counts) for array in ("new", "kept")}  # fmt: skip
        if kind in (TRAIN, RAGGED_TRAIN):
            weights = [problem.w["W"], problem.w["U"], *(v for k, v in problem.w.items() if k not in "WU")]

            def train() -> tuple[torch.Tensor, ...]:
                return torch.autograd.grad(kernel.forward(call)[0], weights, problem.slope)

            return {"native": Way(train, lambda found: weigh([g.numpy() for g in found[:2]]))}

        def infer() -> torch.Tensor:
            with torch.inference_mode():
                return kernel.forward(call)[0]

        ways = {"native": Way(infer, lambda y: y.numpy())}
        return ways | {"Stream.run": _one_row(problem)} if problem.size.batch == 1 else ways


def _network(problem: Problem) -> Network:
    layer = Recurrent(problem.cell, return_sequences=True)
    return Network((layer,), [problem.arrays()], (None, problem.size.inputs))


def _one_row(problem: Problem) -> Way:
    """A whole sequence through a stream that starts anew."""
    stream, x = _network(problem).stream(), np.ascontiguousarray(problem.x[0].numpy())

    def run() -> Floats:
        stream.reset()
        return stream.run(x)

    return Way(run, lambda y: y[None])


def _steps(problem: Problem, threads: int, x: Floats, *, new: bool) -> Way:
    """The public step of a stream, or of a pool, into a new array or one that is kept."""
    model, size = _network(problem), problem.size
    out = None if new else np.empty((size.batch, size.units), np.float32)
    if size.batch == 1:
        stream, row, to = model.stream(), x[0].copy(), None if out is None else out[0]
        return Way(lambda: stream.step(row, to), lambda y: y[None, None].copy())
    pool = model.pool(size.batch, threads=threads)
    ids = [pool.open() for _ in range(size.batch)]
    return Way(lambda: pool.step(ids, x, out), lambda y: y[:, None].copy())
