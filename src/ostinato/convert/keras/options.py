"""The options of one layer in a Keras configuration: each is taken, or refused; none that matters is passed over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from ostinato.errors import ConversionError, OstinatoError
from ostinato.maps.activation import FUNCTIONS

_TRAINING = ("_initializer", "_regularizer", "_constraint")
"""Ends of options that matter in training only."""

_MEANINGLESS = ("name", "trainable", "batch_shape", "batch_input_shape", "quantization_config", "lora_rank",
                "lora_alpha", "autocast", "build_config", "sparse")  # fmt: skip

_LAYERS = ("keras", "keras.layers")
_MODELS = ("keras", "keras.models", "keras.src.models.functional", "keras.src.engine.functional")
_OPERATIONS = ("keras.src.ops.numpy",)


class Nested(NamedTuple):
    """A layer in a configuration.

    Args:
        kind: The class's name.
        config: Its options.
    """

    kind: str
    config: Mapping[str, Any]


_LESS = "Convert a model of such layers; ONNX can carry more than Keras does."


def refuse(rule: str, got: str, where: str = "", *, fix: str = _LESS) -> ConversionError:
    """The error for a broken rule."""
    return ConversionError(rule, got=got, where=(where,) if where else (), fix=fix)


def nested(value: Any, where: str, *, ours: bool = True, operations: Collection[str] = ()) -> Nested:
    """A layer of Keras' own, out of a configuration.

    Args:
        value: The object.
        where: The layer, for messages.
        ours: Whether it is a layer; False for the model, whose class lies elsewhere.
        operations: Functions of Keras that may stand among the layers.

    Raises:
        ConversionError: It is no such object, or names a class that is not Keras' own.
    """
    if not isinstance(value, dict) or not isinstance(value.get("config"), dict):
        raise refuse("a layer must be an object with class_name and config", type(value).__name__, where)
    kind = value.get("class_name")
    if not isinstance(kind, str):
        raise refuse("a layer must have a class_name", type(kind).__name__, where)
    modules = _MODELS if not ours else _OPERATIONS if kind in operations else _LAYERS
    if value.get("registered_name") not in (None, kind) or value.get("module") not in (None, *modules):
        raise refuse("layers must be Keras' own, since a file can never bring code", ascii(kind[:60]), where)
    return Nested(kind, value["config"])


class Options:
    """The options of one layer, which are taken one by one.

    Args:
        config: From the file.
        where: The layer, for messages.
        axes: How many axes the layer's input has, with that of the batch.
    """

    def __init__(self, config: Mapping[str, Any], where: str, axes: int) -> None:
        self.where, self.axes = where, axes
        self._left = {k: v for k, v in config.items() if k not in _MEANINGLESS and not k.endswith(_TRAINING)}
        self._check_dtype(self._left.pop("dtype", "float32"))
        self.bias = self.flag("use_bias", default=True)

    def has(self, name: str) -> bool:
        """Whether the option is there and not null."""
        return self._left.get(name) is not None

    def take(self, name: str, default: Any = ...) -> Any:
        """An option as it is."""
        value = self._left.pop(name, default)
        if value is ...:
            raise refuse(f"the option {name!r} must be there", "none", self.where)
        return value

    def ignore(self, name: str) -> None:
        """An option that does not change what the layer computes."""
        self._left.pop(name, None)

    def only(self, name: str, value: Any, why: str = "no other value has a counterpart") -> None:
        """An option that must have this value if it is there."""
        got = self.take(name, value)
        if got != value or type(got) is not type(value):
            raise refuse(f"{name} must be {value!r} ({why})", ascii(str(got)[:60]), self.where)

    def count(self, name: str) -> int:
        """A whole number from 1 to 2³¹ - 1."""
        return self._count(name, self.take(name))

    def counts(self, name: str) -> tuple[int, ...]:
        """A list of such numbers."""
        value = self.take(name)
        if not isinstance(value, list) or len(value) > 8:
            raise refuse(f"{name} must be a list of whole numbers", type(value).__name__, self.where)
        return tuple(self._count(name, n) for n in value)

    def one(self, name: str, default: int | None = None) -> int:
        """A whole number, which Keras also writes as a list of one."""
        value = self.take(name, ... if default is None else default)
        return self._count(name, value[0] if isinstance(value, list) and len(value) == 1 else value)

    def number(self, name: str, default: float | None = None) -> float:
        """A number."""
        value = self.take(name, ... if default is None else default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise refuse(f"{name} must be a number", ascii(str(value)[:60]), self.where)
        return float(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or False."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise refuse(f"{name} must be true or false", ascii(str(value)[:60]), self.where)
        return value

    def text(self, name: str, default: str) -> str:
        """A short text."""
        value = self.take(name, default)
        if not isinstance(value, str) or len(value) > 60:
            raise refuse(f"{name} must be a short text", type(value).__name__, self.where)
        return value

    def activation(self, name: str, default: str = "linear") -> str:
        """The name of a nonlinearity that is the same here."""
        value = self.take(name, default) or "linear"
        value = {"swish": "silu"}.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, str) or value not in FUNCTIONS:
            raise refuse(f"{name} must be one of {', '.join(FUNCTIONS)}", ascii(str(value)[:60]), self.where)
        return value

    def layer(self, name: str) -> Nested:
        """A layer inside this one."""
        return nested(self.take(name), self.where)

    def make(self, cls: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Our formula, whose own checks name the layer."""
        try:
            return cls(*args, **options)
        except OstinatoError as error:
            raise refuse(error.rule, error.got, self.where) from None

    def check_rest(self) -> None:
        """Raise `ConversionError` if an option is left that may change the function."""
        left = {k: v for k, v in self._left.items() if v is not None and v is not False}
        if left:
            raise refuse("options must be known", ", ".join(ascii(k[:40]) for k in list(left)[:5]), self.where)

    def _count(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
            raise refuse(f"{name} must be a whole number of at least 1", ascii(str(value)[:60]), self.where)
        return value

    def _check_dtype(self, dtype: Any) -> None:
        inner = dtype.get("config") if isinstance(dtype, dict) else None
        name = inner.get("name") if isinstance(inner, dict) else dtype
        if name not in ("float32", None):
            raise refuse("layers must compute in float32", ascii(str(name)[:60]), self.where)
