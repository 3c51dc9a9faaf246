"""From a model file to something that predicts, whatever task it was saved for. No torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ModelFileError
from ostinato.maps.base import Part, Shape, Weights
from ostinato.runtime import bundle as files
from ostinato.runtime import forecaster_file, generator_file, native, sequential_file
from ostinato.runtime.forecaster import Forecaster
from ostinato.runtime.generator import Generator
from ostinato.runtime.machine import Machine, check_precision
from ostinato.runtime.pool import Pool
from ostinato.runtime.reading import Samples, symbols_of
from ostinato.runtime.refusal import located
from ostinato.runtime.stepping import Stepping
from ostinato.runtime.stream import Stream


@lean_dataclass(frozen=True, eq=False)
class Network:
    """A saved `Sequential` model.

    Args:
        parts: Its layers.
        weights: Their weights, fixed from the first prediction on.
        input_shape: Shape of one sample, None for an open length.
        precision: What recurrent layers multiply in, "float32" or "bf16"; all else is float32.

    Raises:
        KernelError: `precision` is "bf16", and this processor or a layer's cell has no such products.
    """

    parts: tuple[Part, ...]
    weights: Sequence[Weights]
    input_shape: Shape
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_precision(self.parts, self.precision)

    def at(self, precision: str) -> Network:
        """The same model in another precision; `self` if it has it already."""
        return self if precision == self.precision else replace(self, precision=precision)

    def predict(self, x: ArrayLike, *, mask: ArrayLike | None = None) -> NDArray[np.float32]:
        """The outputs for `x [batch, *input_shape]`; `mask [batch, time]` is True for real steps.

        Raises:
            ShapeError: `x` has another shape than the model was built for.
            DataError: `type`, it holds no numbers, or fractions where the network reads symbols; `range`, a symbol
                that the network does not have; `nonfinite`, NaN, an infinity or a number too large for float32.
        """
        samples = Samples(self.input_shape, symbols_of(self.parts)).checked(x)
        real = None if mask is None else np.asarray(mask, bool)
        result: NDArray[np.float32] = self._machine.run(samples, mask=real)[0]
        return result

    def stream(self, blob: bytes | None = None, *, nonfinite: str = "raise") -> Stream:
        """One sequence, step by step: each output costs the same however long the past is.

        Args:
            blob: A snapshot to go on from, of a stream or of a pool of this model; by default a sequence starts.
            nonfinite: What to do about NaN and infinities in the input: "raise", "hold" or "propagate", see `Stream`.

        Raises:
            ArgumentError: A layer needs later steps or the whole past, or there is no such policy.
            SnapshotError: `blob` is damaged, or of another model or precision.
        """
        return Stream(self.stepping, blob, nonfinite=nonfinite)

    def pool(self, capacity: int, *, nonfinite: str = "raise", threads: int | None = None) -> Pool:
        """Up to `capacity` streams under ids, of which any move on together; see `Pool`.

        Raises:
            ArgumentError: As for `stream`, or `capacity` or `threads` is no whole number of at least 1.
        """
        return Pool(self.stepping, capacity, nonfinite=nonfinite, threads=threads)

    @cached_property
    def stepping(self) -> Stepping:
        """How its steps are computed; shared by all its streams and pools."""
        return Stepping(self._machine, self.input_shape)

    @cached_property
    def _machine(self) -> Machine:
        return Machine(self.parts, self.weights, precision=self.precision)


def load(
    path: str | os.PathLike[str], *, sha256: str | None = None, precision: str = "float32"
) -> Network | Forecaster | Generator:
    """Load a model file for prediction.

    Args:
        path: The file.
        sha256: Digest of the whole file, in hex; another file is refused.
        precision: What recurrent layers multiply in. "bf16" rounds weights, inputs and h to 8 significant bits there;
            `precision_cost` says what that does to the outputs. All else stays float32.

    Raises:
        ModelFileError: The file is refused; `code` says why, see `ostinato.runtime.bundle`.
        ArgumentError: There is no such precision.
        KernelError: `precision` is "bf16", and this processor or a layer's cell has no such products.
    """
    native.check_precision(precision)
    bundle = files.load(path, sha256=sha256)
    try:
        return from_bundle(bundle, precision=precision)
    except ModelFileError as error:
        raise located(error, os.fsdecode(path)) from None


def from_bundle(bundle: files.Bundle, *, precision: str = "float32") -> Network | Forecaster | Generator:
    """As `load`, from a file that was read already."""
    model = _model(bundle)
    return model if precision == "float32" else model.at(precision)


def _model(bundle: files.Bundle) -> Network | Forecaster | Generator:
    if bundle.manifest.task == forecaster_file.TASK:
        return forecaster_file.from_bundle(bundle)
    if bundle.manifest.task == generator_file.TASK:
        return generator_file.from_bundle(bundle)
    if bundle.manifest.task == sequential_file.TASK and bundle.manifest.members == 1:
        return Network(bundle.parts, bundle.weights, tuple(bundle.manifest.input_shape))
    if bundle.manifest.task == sequential_file.TASK:
        raise ModelFileError(
            "a Sequential model must be one network", got=f"{bundle.manifest.members} members",
            fix="Save the model again.", code="task",
        )  # fmt: skip
    raise ModelFileError(
        f"a model must be of task {sequential_file.TASK}, {forecaster_file.TASK} or {generator_file.TASK}",
        got=repr(bundle.manifest.task[:80]),
        fix="Load it with the version of ostinato that wrote it, or a later one.",
        code="task",
    )
