"""Keras on the JAX back-end: `LSTM`, `GRU`, `SimpleRNN`, and their cells for single steps, each in one jitted call."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from rivals.base import Rival, Way
from rivals.problem import POOLED, RAGGED_TRAIN, STEP, TRAIN, Problem, signed, weigh

LAYERS = {
    "simple_rnn": (keras.layers.SimpleRNN, keras.layers.SimpleRNNCell, "h", {}),
    "lstm": (keras.layers.LSTM, keras.layers.LSTMCell, "ifco", {}),
    "gru": (keras.layers.GRU, keras.layers.GRUCell, "zrn", {"reset_after": False}),
    "gru_reset_after": (keras.layers.GRU, keras.layers.GRUCell, "zrn", {"reset_after": True}),
}


class Keras(Rival):
    """`stateless_call` under `jax.jit`, which is what `predict_on_batch` and `train_on_batch` run inside, without their
    loops. Ragged ways: with the mask, or the padding computed and wiped out."""

    @property
    def version(self) -> str:
        return str(keras.__version__)

    def ways(self, problem: Problem, kind: str) -> dict[str, Way]:
        if kind in (STEP, POOLED):
            return {"cell": stepped(problem)}
        layer = filled(problem)
        variables, others = _values(layer.trainable_variables), _values(layer.non_trainable_variables)
        x = jnp.asarray(problem.x.numpy())
        mask = None if problem.mask is None else jnp.asarray(problem.mask.numpy())
        slope = jnp.asarray(problem.slope.numpy())
        found = {}
        for name in ("plain",) if mask is None else ("padded", "mask"):

            def outputs(variables: Any, x: Any, mask: Any, *, masked: bool = name == "mask") -> Any:
                y = layer.stateless_call(variables, others, x, **({"mask": mask} if masked else {}))[0]
                return y if mask is None else y * mask[:, :, None]

            if kind in (TRAIN, RAGGED_TRAIN):
                gradients = jax.jit(jax.grad(lambda v, x, m, s, outputs=outputs: (outputs(v, x, m) * s).sum()))
                found[name] = Way(
                    lambda run=gradients: jax.block_until_ready(run(variables, x, mask, slope)),
                    lambda g: weigh([np.asarray(v) for v in g[:2]]),
                )
            else:
                plain = jax.jit(outputs)
                found[name] = Way(
                    lambda run=plain: run(variables, x, mask).block_until_ready(), lambda y: np.asarray(y)
                )
        return found


def weights_of(problem: Problem) -> list[Any]:
    """Our weights in Keras' order."""
    order = LAYERS[problem.name][2]
    w = signed(problem, order) if len(order) > 1 else problem.arrays()
    return [w["W"], w["U"], np.stack([w["b"], w["b_rec"]]) if "b_rec" in w else w["b"]]


def filled(problem: Problem) -> Any:
    """Keras' layer with our weights."""
    layer_class, _, _, options = LAYERS[problem.name]
    layer = layer_class(problem.size.units, return_sequences=True, **options)
    layer.build(tuple(problem.x.shape))
    layer.set_weights(weights_of(problem))
    return layer


def stepped(problem: Problem) -> Way:
    """Single steps; the states are fed back."""
    _, cell_class, _, options = LAYERS[problem.name]
    cell = cell_class(problem.size.units, **options)
    cell.build((problem.size.batch, problem.size.inputs))
    cell.set_weights(weights_of(problem))
    variables, others = _values(cell.trainable_variables), _values(cell.non_trainable_variables)
    run = jax.jit(lambda x, state: cell.stateless_call(variables, others, x, state)[0][1])
    x = jnp.asarray(problem.x[:, 0].numpy())
    state = [jnp.asarray(s.numpy()) for s in problem.state]

    def step() -> Any:
        nonlocal state
        state = run(x, state)
        return state[0].block_until_ready()

    return Way(step, lambda h: np.array(h)[:, None])


def _values(variables: Any) -> list[Any]:
    return [v.value for v in variables]
