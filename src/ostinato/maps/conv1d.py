"""Convolution over time."""

from __future__ import annotations

from typing import Any

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError, ShapeError
from ostinato.maps._check import check_choice, check_count, check_flag, sequence, show
from ostinato.maps.activation import FUNCTIONS, check_activation
from ostinato.maps.base import Array, Map, Shape, Weight, Weights


@lean_dataclass(frozen=True)
class Conv1D(Map):
    """y_t = f(sum_k x_{t s + k d} W_k + b): `kernel_size` neighbouring steps become `filters` features.

    Masked steps count as zeros; with "valid" padding an output is real if all steps of its window are.

    Args:
        filters: Number of output features.
        kernel_size: Number of steps that one output sees.
        strides: s, the distance between outputs.
        padding: "valid" (only whole windows), "same" (zeros on both sides) or "causal" (zeros in front only, so that no
            output sees the future).
        dilation_rate: d, the distance between the steps of a window; more than 1 excludes strides.
        activation: Name of f.
        use_bias: Whether b exists.
    """

    filters: int
    kernel_size: int
    strides: int = 1
    padding: str = "valid"
    dilation_rate: int = 1
    activation: str = "linear"
    use_bias: bool = True

    def __post_init__(self) -> None:
        for name in ("filters", "kernel_size", "strides", "dilation_rate"):
            check_count(name, getattr(self, name))
        check_choice("padding", self.padding, ("valid", "same", "causal"))
        check_activation(self.activation)
        check_flag("use_bias", self.use_bias)
        if self.strides > 1 and self.dilation_rate > 1:
            raise ArgumentError(
                "strides and dilation_rate must not both be above 1",
                got=f"strides={self.strides}, dilation_rate={self.dilation_rate}",
                fix="Set one of them to 1.",
            )

    def weights(self, shape: Shape) -> dict[str, Weight]:
        _, n = sequence("conv1d", shape)
        w = {"W": Weight((self.kernel_size, n, self.filters), "glorot_uniform")}
        return w | ({"b": Weight((self.filters,), "zeros")} if self.use_bias else {})

    def _span(self) -> int:
        return (self.kernel_size - 1) * self.dilation_rate + 1

    def _steps(self, time: int) -> int:
        return -(-time // self.strides) if self.padding != "valid" else (time - self._span()) // self.strides + 1

    def out_shape(self, shape: Shape) -> Shape:
        time, _ = sequence("conv1d", shape)
        if time is not None and self.padding == "valid" and time < self._span():
            raise ShapeError(
                f"conv1d must get at least {self._span()} steps",
                got=f"shape {show(shape)}",
                fix="Use padding='same' or 'causal', or a smaller kernel_size.",
            )
        return (None if time is None else self._steps(time), self.filters)

    def formula(self, xp: Any, w: Weights, x: Array, mask: Array | None) -> Array:
        self.out_shape(tuple(x.shape[1:]))
        steps = self._steps(x.shape[1])
        if self.padding == "causal":  # the window of an output ends at its own step, whatever the length
            missing = before = self._span() - 1
        else:
            missing = max((steps - 1) * self.strides + self._span() - x.shape[1], 0)
            before = missing // 2
        if missing:
            zeros = xp.zeros_like(x[:, :1])
            x = xp.concat([zeros] * before + [x] + [zeros] * (missing - before), axis=1)
        y = 0.0
        for k in range(self.kernel_size):
            first = k * self.dilation_rate
            y = y + x[:, first : first + (steps - 1) * self.strides + 1 : self.strides] @ w["W"][k]
        return FUNCTIONS[self.activation](xp, y + w["b"] if self.use_bias else y)

    def out_mask(self, xp: Any, x: Array, mask: Array | None) -> Array | None:
        if mask is None or self.padding != "valid":
            return None if mask is None else mask[:, :: self.strides]
        last = (self._steps(x.shape[1]) - 1) * self.strides + 1
        real = mask[:, : last : self.strides]
        for k in range(1, self.kernel_size):
            first = k * self.dilation_rate
            real = real & mask[:, first : first + last : self.strides]
        return real
