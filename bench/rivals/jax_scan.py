"""JAX: the formula of the cell in `jax.lax.scan`, jitted; gradients by `jax.grad`."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ostinato.runtime.arrays import Namespace
from rivals.base import Rival, Way
from rivals.problem import POOLED, RAGGED_TRAIN, STEP, TRAIN, Problem, weigh

# A call that is waited for at once needs no thread of its own: single steps are two to four times as fast.
jax.config.update("jax_cpu_enable_async_dispatch", False)  # noqa: FBT003

XP = Namespace(jnp, jax.nn.sigmoid)


class Loop(NamedTuple):
    """How the loop is written: the input product inside or before it, and how often it is unrolled."""

    inside: bool
    unroll: int


LOOPS = {
    "product inside": Loop(inside=True, unroll=1),
    "product inside, unroll 4": Loop(inside=True, unroll=4),
    "product before": Loop(inside=False, unroll=1),
}


class JAX(Rival):
    """XLA's threads as they are, arrays time first as `scan` wants them. Ways: `LOOPS`. Ragged: the padding is
    computed and wiped out, which is faster than keeping the states of finished rows."""

    @property
    def version(self) -> str:
        return str(jax.__version__)

    def ways(self, problem: Problem, kind: str) -> dict[str, Way]:
        w = {key: jnp.asarray(value) for key, value in problem.arrays().items()}
        if kind in (STEP, POOLED):
            return {"jit": stepped(problem, w)}
        x = jnp.asarray(np.ascontiguousarray(problem.x.numpy().transpose(1, 0, 2)))
        start = tuple(jnp.asarray(s.numpy()) for s in problem.state)
        real = None if problem.mask is None else jnp.asarray(problem.mask.numpy().T[:, :, None])
        slope = jnp.asarray(np.ascontiguousarray(problem.slope.numpy().transpose(1, 0, 2)))
        if kind in (TRAIN, RAGGED_TRAIN):
            return {name: trained(problem, w, (x, start, real, slope), loop) for name, loop in LOOPS.items()}
        return {name: inferred(problem, w, (x, start, real), loop) for name, loop in LOOPS.items()}


def forward(problem: Problem, w: dict[str, Any], x: Any, start: Any, real: Any, loop: Loop) -> Any:
    """Outputs `[time, batch, units]`."""
    extra = {key: value for key, value in w.items() if key not in ("W", "U", "b")}

    def project(x: Any) -> Any:
        return x @ w["W"] + w["b"]

    def step(state: Any, a: Any) -> tuple[Any, Any]:
        a = project(a) if loop.inside else a
        state = problem.cell.step(XP, a, w["U"], state, **extra)
        return state, state[0]

    y = jax.lax.scan(step, start, x if loop.inside else project(x), unroll=loop.unroll)[1]
    return y if real is None else y * real


def inferred(problem: Problem, w: dict[str, Any], arrays: tuple[Any, ...], loop: Loop) -> Way:
    """Outputs."""
    run = jax.jit(lambda w, x, start, real: forward(problem, w, x, start, real, loop))
    return Way(
        lambda: run(w, *arrays).block_until_ready(), lambda y: np.ascontiguousarray(np.asarray(y).transpose(1, 0, 2))
    )


def trained(problem: Problem, w: dict[str, Any], arrays: tuple[Any, ...], loop: Loop) -> Way:
    """Gradients of all weights."""
    *inputs, slope = arrays

    def loss(w: dict[str, Any], slope: Any, *inputs: Any) -> Any:
        return (forward(problem, w, *inputs, loop) * slope).sum()  # type: ignore[call-arg]

    run = jax.jit(jax.grad(loss))
    return Way(
        lambda: jax.block_until_ready(run(w, slope, *inputs)),
        lambda found: weigh([np.asarray(found[key]) for key in ("W", "U")]),
    )


def stepped(problem: Problem, w: dict[str, Any]) -> Way:
    """Single steps; the states are fed back."""
    extra = {key: value for key, value in w.items() if key not in ("W", "U", "b")}
    run = jax.jit(lambda x, state: problem.cell.step(XP, x @ w["W"] + w["b"], w["U"], state, **extra))
    x = jnp.asarray(problem.x[:, 0].numpy())
    state = tuple(jnp.asarray(s.numpy()) for s in problem.state)

    def step() -> Any:
        nonlocal state
        state = run(x, state)
        return state[0].block_until_ready()

    return Way(step, lambda h: np.array(h)[:, None])
