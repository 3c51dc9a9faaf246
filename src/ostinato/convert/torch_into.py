"""Numbers of a torch state_dict into a model of ours, whose layers say what a state_dict does not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato.convert.torch_modules import to_module, why_not
from ostinato.errors import ConversionError
from ostinato.maps.base import Part, Shape, Weights
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime.sequential_file import Named

Array = np.ndarray[Any, Any]
Module = dict[str, Array]

_LAYER = re.compile(r"(?P<kind>(?:weight|bias)_[a-z]{2})_l(?P<layer>[0-9]{1,4})(?P<back>_reverse)?")
_NUMBER = re.compile(r"[0-9]+")


class _Key(NamedTuple):
    """A module, or one layer of a recurrent one."""

    name: str
    layer: int

    @property
    def order(self) -> tuple[str, int]:
        """Numbers in a name count as numbers: `layers.10` comes after `layers.9`."""
        return _NUMBER.sub(lambda digits: digits[0].zfill(20), self.name), self.layer

    @property
    def letters(self) -> str:
        """The name without its numbers."""
        return _NUMBER.sub("#", self.name)


def into_layers(layers: Sequence[Named], input_shape: Shape, tensors: Mapping[str, Array]) -> list[Named]:
    """The layers with the numbers of a state_dict.

    A layer takes the module of its own name; else the only one whose tensors have its names and shapes; else, of
    several that differ by a number alone (the layers of an LSTM, `fc1` and `fc2`, the places in a
    `torch.nn.Sequential`), the next one.

    Args:
        layers: First one first, with weights of the right shapes.
        input_shape: Shape of one sample.
        tensors: Arrays by torch's names.

    Raises:
        ConversionError: torch has no such layer; or a module is missing, left over, or not the only one that fits.
    """
    modules = _modules(tensors)
    wanted: list[tuple[Named, Shape]] = []
    shape = input_shape
    for layer in layers:
        reason = why_not(_inner(layer.part))
        if reason is not None:
            raise ConversionError("every layer must be one that torch has", got=reason, where=f"layer {layer.name!r}",
                                  fix="Take a model of other layers.")  # fmt: skip
        wanted.append((layer, shape))
        shape = layer.part.out_shape(shape)
    found = [_filled(layer, before, modules, wanted[i + 1 :]) for i, (layer, before) in enumerate(wanted)]
    if modules:
        left = ", ".join(f"{key.name[:60]!a}" + f" layer {key.layer}" * (key.layer > 0) for key in list(modules)[:5])
        raise _refuse("every module must belong to a layer of the model", f"{left} beside them")
    return found


def _inner(part: Part) -> Part:
    return part.inner if isinstance(part, TimeDistributed) else part


def _modules(tensors: Mapping[str, Array]) -> dict[_Key, Module]:
    """Tensors by module; those of a layer of a recurrent module under the names that the first layer has."""
    found: dict[_Key, Module] = {}
    for full, array in tensors.items():
        name, _, kind = full.rpartition(".")
        match = _LAYER.fullmatch(kind)
        key = _Key(name, int(match["layer"]) if match else 0)
        kind = f"{match['kind']}_l0{match['back'] or ''}" if match else kind
        found.setdefault(key, {})[kind] = np.asarray(array, np.float32)
    return dict(sorted(found.items(), key=lambda item: item[0].order))


def _shapes(layer: Named, shape: Shape) -> dict[str, tuple[int, ...]]:
    return {key: value.shape for key, value in to_module(_inner(layer.part), layer.weights, shape)[1].items()}


def _filled(layer: Named, shape: Shape, modules: dict[_Key, Module], later: Sequence[tuple[Named, Shape]]) -> Named:
    """The layer with the numbers of its module, which is taken out of `modules`."""
    shapes = _shapes(layer, shape)
    if not shapes:
        return layer
    reserved = {other.name for other, _ in later}
    fitting = [key for key, module in modules.items() if {k: v.shape for k, v in module.items()} == shapes]
    own = [key for key in fitting if key.name == layer.name]
    free = own or [key for key in fitting if key.name not in reserved]
    if not free:
        raise _refuse(f"there must be a module with {_said(shapes)}", _all(modules), f"layer {layer.name!r}")
    if len({key.letters for key in free}) > 1:
        raise _refuse(
            f"only one module must fit {_said(shapes)}, or several that differ by a number",
            ", ".join(f"{key.name[:60]!a}" for key in free[:5]), f"layer {layer.name!r}",
        )  # fmt: skip
    return Named(layer.name, layer.part, _weights(layer, shape, modules.pop(free[0])))


def _weights(layer: Named, shape: Shape, module: Module) -> Weights:
    """What `to_module` makes `module` of. It only moves numbers, so that numbering them shows where each one goes."""
    begins = np.cumsum([1, *(v.size for v in layer.weights.values())]).tolist()
    spans = {key: slice(a, a + v.size) for a, (key, v) in zip(begins, layer.weights.items(), strict=False)}
    numbered = {key: np.arange(s.start, s.stop).reshape(layer.weights[key].shape) for key, s in spans.items()}
    if not any(key.endswith("b_rec") for key in numbered):  # a formula with one bias, where torch has two
        second = {key.replace("_hh_", "_ih_"): v for key, v in module.items() if key.startswith("bias_hh_")}
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
            module = {key: v + second[key] if key in second else v for key, v in module.items()}
    flat = np.zeros(begins[-1], np.float32)
    for name, places in to_module(_inner(layer.part), numbered, shape)[1].items():
        if places.any():
            flat[places] = module[name]
    if not np.isfinite(flat).all():
        raise _refuse("sums of two biases must be finite in float32", "others", f"layer {layer.name!r}")
    return {key: flat[span].reshape(layer.weights[key].shape) for key, span in spans.items()}


def _said(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{key} {shape}" for key, shape in shapes.items())


def _all(modules: Mapping[_Key, Module]) -> str:
    some = list(modules.items())[:3]
    said = [f"{key.name[:40]!a} with {_said({k: v.shape for k, v in module.items()})}" for key, module in some]
    return "; ".join(said) or "none that is left"


def _refuse(rule: str, got: str, where: str = "") -> ConversionError:
    fix = "Name the layers of the model as torch's modules, or take a model that fits."
    return ConversionError(rule, got=got, where=where, fix=fix)
