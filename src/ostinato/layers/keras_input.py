"""The declaration of a model's input."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.errors import ArgumentError
from ostinato.layers.keras_base import check_shape
from ostinato.maps.base import Shape


class Input:
    """The shape of one sample, as the first entry of a model.

    Args:
        shape: Shape without the batch axis; None for an open length.
        batch_size: A fixed batch size, for stateful layers.
        dtype: "float32" or another float for numbers, "int32" or another integer for symbols; what comes is checked.
        name: A name for people.
        batch_shape: Instead of both: (batch size, *shape).
    """

    def __init__(
        self,
        shape: Sequence[int | None] | int | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        *,
        name: str | None = None,
        batch_shape: Sequence[int | None] | None = None,
    ) -> None:
        if (shape is None) == (batch_shape is None):
            raise ArgumentError(
                "an input must get either shape or batch_shape", got=f"{shape!r}, {batch_shape!r}", fix="Pass one."
            )
        if batch_shape is not None:
            batch_size, *rest = check_shape("batch_shape", batch_shape)
            shape = rest
        self.shape: Shape = check_shape("shape", shape)
        if batch_size is not None:
            check_shape("batch_size", batch_size)
        self.batch_size = batch_size
        self.name = name
        if not (dtype is None or (isinstance(dtype, str) and dtype.rstrip("0123456789") in ("float", "int", "uint"))):
            raise ArgumentError("dtype must be a float or integer type", got=repr(dtype), fix="Pass, say, 'float32'.")
        self.whole = dtype is not None and not dtype.startswith("float")


class InputLayer(Input):
    """The same under Keras' older name.

    Args:
        input_shape: Shape without the batch axis.
        batch_size: A fixed batch size.
        dtype: As for `Input`.
        name: A name for people.
        shape: The newer word for `input_shape`.
        batch_shape: Instead of both.
    """

    def __init__(
        self,
        input_shape: Sequence[int | None] | int | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        *,
        name: str | None = None,
        shape: Sequence[int | None] | int | None = None,
        batch_shape: Sequence[int | None] | None = None,
    ) -> None:
        super().__init__(
            shape if input_shape is None else input_shape, batch_size, dtype, name=name, batch_shape=batch_shape
        )
