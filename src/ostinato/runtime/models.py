"""From a model file to something that predicts, whatever task it was saved for. No torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato.errors import ModelFileError, ShapeError
from ostinato.maps.base import Part, Shape, Weights
from ostinato.runtime import bundle as files
from ostinato.runtime import forecaster_file, generator_file
from ostinato.runtime.forecaster import Forecaster
from ostinato.runtime.generator import Generator
from ostinato.runtime.machine import Machine


@dataclass(frozen=True, eq=False)
class Network:
    """A saved `Sequential` model.

    Args:
        parts: Its layers.
        weights: Their weights, fixed from the first prediction on.
        input_shape: Shape of one sample, None for an open length.
    """

    parts: tuple[Part, ...]
    weights: Sequence[Weights]
    input_shape: Shape

    def predict(self, x: ArrayLike, *, mask: ArrayLike | None = None) -> NDArray[np.float32]:
        """The outputs for `x [batch, *input_shape]`; `mask [batch, time]` is True for real steps.

        Raises:
            ShapeError: `x` has another shape than the model was built for.
        """
        samples = np.asarray(x, np.float32)
        shape = samples.shape[1:]
        if len(shape) != len(self.input_shape) or any(
            want not in (None, got) for want, got in zip(self.input_shape, shape, strict=True)
        ):
            raise ShapeError(
                f"x must be (batch, {', '.join('any' if n is None else str(n) for n in self.input_shape)})",
                got=str(samples.shape),
                fix="Reshape it.",
            )
        real = None if mask is None else np.asarray(mask, bool)
        result: NDArray[np.float32] = self._machine.run(samples, mask=real)[0]
        return result

    @cached_property
    def _machine(self) -> Machine:
        return Machine(self.parts, self.weights)


def load(path: str | os.PathLike[str], *, sha256: str | None = None) -> Network | Forecaster | Generator:
    """Load a model file for prediction.

    Args:
        path: The file.
        sha256: Digest of the whole file, in hex; another file is refused.

    Raises:
        ModelFileError: The file is refused; `code` says why, see `ostinato.runtime.bundle`.
    """
    bundle = files.load(path, sha256=sha256)
    if bundle.manifest.task == "sequential":
        return Network(bundle.parts, bundle.weights, tuple(bundle.manifest.input_shape))
    if bundle.manifest.task == forecaster_file.TASK:
        return forecaster_file.from_bundle(bundle)
    if bundle.manifest.task == generator_file.TASK:
        return generator_file.from_bundle(bundle)
    raise ModelFileError(
        f"a model must be of task sequential, {forecaster_file.TASK} or {generator_file.TASK}",
        got=repr(bundle.manifest.task[:80]),
        fix="Load it with the version of ostinato that wrote it, or a later one.",
        code="task",
    )
