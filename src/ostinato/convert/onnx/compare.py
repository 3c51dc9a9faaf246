"""How far ONNX Runtime's outputs of a written model are from ostinato's."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ostinato._optional import require
from ostinato.convert.onnx.network import Carried, X, Y
from ostinato.errors import ConversionError

Array = np.ndarray[Any, Any]
Computed = Callable[[Array], Array]

TOLERANCE = 1e-5
"""Largest difference of a model that counts as the same, in units of its largest output."""

_NOISES = 10.0

_LEAST = 1e-3
"""Outputs that are all smaller than this are not looked at more closely than that."""


def installed() -> bool:
    """Whether ONNX Runtime is there."""
    return importlib.util.find_spec("onnxruntime") is not None


class Running:
    """A written model in ONNX Runtime.

    Args:
        model: The `onnx.ModelProto`.
    """

    def __init__(self, model: Any) -> None:
        ort = require("onnxruntime", purpose="to check ONNX models")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def predict(self, x: Array) -> Array:
        """The output for whole samples."""
        (y,) = self._session.run([Y], {X: x})
        return np.asarray(y)

    def stream(self, x: Array, states: Sequence[Carried]) -> Array:
        """The outputs of a step model for `x [batch, time, …]`, step by step."""
        now = {s.before: np.tile(s.start, (len(x), 1)) for s in states}
        outputs = []
        for t in range(x.shape[1]):
            y, *after = self._session.run([Y, *(s.after for s in states)], {X: x[:, t], **now})
            now = dict(zip((s.before for s in states), after, strict=True))
            outputs.append(y)
        return np.stack(outputs, axis=1)


def difference(ours: Computed, theirs: Computed, samples: Sequence[Array], *, noise: Computed) -> float:
    """The largest difference between two models over these inputs, in units of each input's largest output.

    Args:
        ours: The right outputs.
        theirs: Those to be compared.
        samples: Inputs.
        noise: As `ours`, rounded another way: a model that enlarges rounding is allowed more, in proportion.

    Raises:
        ConversionError: It is above `TOLERANCE` and above `_NOISES` times that of `noise`, or a number is not finite.
    """
    worst = 0.0
    for x in samples:
        one, two = ours(x), theirs(x)
        if one.shape != two.shape:
            raise _differs(f"outputs of shape {two.shape} instead of {one.shape}")
        off = _off(one, two)
        if not (off <= TOLERANCE or off <= _NOISES * _off(one, noise(x))):
            raise _differs(f"a difference of {off:.2g}")
        worst = max(worst, off)
    return worst


def _off(one: Array, two: Array) -> float:
    return float(np.abs(one - two).max() / max(_LEAST, float(np.abs(one).max()))) if one.size else 0.0


def _differs(got: str) -> ConversionError:
    return ConversionError(
        f"ONNX Runtime must compute the same as ostinato, up to {TOLERANCE:g}",
        got=got,
        fix="Use another version of ONNX Runtime, or report it with the model.",
        code="differs",
    )
