"""Weights of torch's recurrent layers: a state_dict, as a safetensors file or a mapping, in and out. Needs no torch.

torch's `weight_ih [gates · units, features]` is our W transposed, `weight_hh` our U transposed, in the same order of
gates (i, f, g, o and r, z, n). Its two biases are summed where the formula has one. Its GRU resets after the product:
it is our `gru_reset_after`, never our `gru`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise, permutations
from typing import Any, NamedTuple

import numpy as np

from ostinato.cells.base import Cell
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.convert.torch_modules import NONLINEARITIES, to_module, why_not
from ostinato.errors import ConversionError
from ostinato.maps.base import Shape, Weights
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime.sequential_file import Named
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

Array = np.ndarray[Any, Any]

_WEIGHT = re.compile(
    r"(?:(?P<name>.*)\.)?(?P<kind>weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)"
    r"_l(?P<layer>[0-9]{1,4})(?P<back>_reverse)?"
)
_MOST_MODULES = 7


class State(NamedTuple):
    """A state_dict, and the modules that it belongs to.

    Args:
        tensors: Arrays by torch's names, float32.
        modules: In order: name, class, constructor arguments, and what happens to its output.
    """

    tensors: dict[str, Array]
    modules: list[dict[str, Any]]

    @property
    def metadata(self) -> dict[str, str]:
        """The modules as text for the header of a safetensors file."""
        return {"modules": json.dumps(self.modules)}


class Read(NamedTuple):
    """Layers out of a state_dict.

    Args:
        layers: With their weights.
        input_shape: Shape of one sample.
        notes: What a state_dict does not say and was assumed, for a person.
    """

    layers: list[Named]
    input_shape: Shape
    notes: list[str]


def to_state_dict(layers: Sequence[Named], input_shape: Shape) -> State:
    """The weights of our layers under torch's names.

    Args:
        layers: First one first.
        input_shape: Shape of one sample.

    Raises:
        ConversionError: torch has no layer that computes the same; the message says which layer and why.
    """
    state = State({}, [])
    shape = input_shape
    for layer in layers:
        part = layer.part.inner if isinstance(layer.part, TimeDistributed) else layer.part
        reason = why_not(part)
        if reason is not None:
            raise ConversionError(
                "every layer must be one that torch has", got=reason, where=f"layer {layer.name!r}",
                fix="Convert to ONNX instead, or replace the layer.",
            )  # fmt: skip
        module, tensors = to_module(part, layer.weights, shape)
        state.modules.append({"name": layer.name, **module})
        state.tensors.update({f"{layer.name}.{key}": np.ascontiguousarray(v, np.float32) for key, v in tensors.items()})
        shape = layer.part.out_shape(shape)
    return state


def from_state_dict(
    tensors: Mapping[str, Array],
    *,
    sequences: bool = False,
    nonlinearity: str | None = None,
    order: Sequence[str] = (),
) -> Read:
    """Layers from the state_dict of RNN, LSTM or GRU modules with an optional Embedding before and a Linear behind.

    Args:
        tensors: Arrays by torch's names.
        sequences: Whether the last recurrent layer returns its outputs at all steps, else the last one.
        nonlinearity: That of a torch.nn.RNN, "tanh" or "relu"; the state_dict does not say it.
        order: Names of the modules, first one first; by default that in which they fit each other.

    Raises:
        ConversionError: A tensor belongs to another kind of layer, or the layers do not fit each other.
    """
    arrays = {name: np.asarray(value, np.float32) for name, value in tensors.items()}
    runs, others = _groups(arrays)
    if not runs:
        raise _refuse("a state_dict must hold the weights of a torch.nn.RNN, LSTM or GRU", _some(arrays))
    found = _recurrent(_ordered(runs, order), sequences=sequences, nonlinearity=nonlinearity)
    features = found[0].weights["forward_W" if isinstance(found[0].part, Bidirectional) else "W"].shape[0]
    before, behind = _beside(others, features)
    shape: Shape = (None,) if before else (None, features)
    layers = _with_free_names([*before, *found, *behind])
    last = "all steps" if sequences else "the last step"
    note = f"the last recurrent layer gives the output of {last} (--sequences gives all)"
    _check_chain(layers, shape)
    return Read(layers, shape, [note])


Runs = dict[str, dict[tuple[int, bool], dict[str, Array]]]


def _groups(arrays: Mapping[str, Array]) -> tuple[Runs, dict[str, dict[str, Array]]]:
    """Weights of recurrent modules by module, layer and direction; and those of other modules."""
    runs: Runs = {}
    others: dict[str, dict[str, Array]] = {}
    for full, array in arrays.items():
        match = _WEIGHT.fullmatch(full)
        if match is None:
            name, _, kind = full.rpartition(".")
            others.setdefault(name, {})[kind] = array
            continue
        at = (int(match["layer"]), match["back"] is not None)
        runs.setdefault(match["name"] or "", {}).setdefault(at, {})[match["kind"]] = array
    return runs, others


def _ordered(runs: Runs, order: Sequence[str]) -> Runs:
    """The modules in the order that was told, or the only one in which each fits the output of the one before it."""
    if set(order) >= set(runs):
        return {name: runs[name] for name in order if name in runs}
    if len(runs) > _MOST_MODULES:
        raise _refuse(f"there must be at most {_MOST_MODULES} recurrent modules", str(len(runs)))
    fitting = [names for names in permutations(runs) if all(_fits(runs[a], runs[b]) for a, b in pairwise(names))]
    if len(fitting) != 1:
        raise _refuse(
            "the order of recurrent modules must follow from their sizes",
            f"{len(fitting) or 'no'} orders of {', '.join(ascii(name[:40]) for name in runs)}",
        )
    return {name: runs[name] for name in fitting[0]}


def _fits(one: dict[tuple[int, bool], dict[str, Array]], other: dict[tuple[int, bool], dict[str, Array]]) -> bool:
    """Whether the outputs of the first module are as wide as the inputs of the second."""
    out, into = one[max(one)].get("weight_hh"), other[min(other)].get("weight_ih")
    if out is None or into is None or out.ndim != 2 or into.ndim != 2:
        return False
    return bool(out.shape[1] * (1 + any(back for _, back in one)) == into.shape[1])


def _recurrent(runs: Runs, *, sequences: bool, nonlinearity: str | None) -> list[Named]:
    cells: list[tuple[str, list[dict[str, Array]]]] = []
    for name, layers in runs.items():
        count = 1 + max(layer for layer, _ in layers)
        both = any(back for _, back in layers)
        if len(layers) != count * (1 + both) or {back for _, back in layers} != ({False, True} if both else {False}):
            raise _refuse("layers must be complete, in both directions or in one", f"others in {name!r}")
        label = name.replace(".", "_") or "rnn"
        for i in range(count):
            halves = [layers[i, back] for back in ((False, True) if both else (False,))]
            cells.append((f"{label}_{i}" if count > 1 else label, halves))
    found = []
    for number, (label, halves) in enumerate(cells):
        returns = sequences or number < len(cells) - 1
        cell, weights = _cell(label, halves, nonlinearity)
        one = Recurrent(cell, return_sequences=returns)
        if len(halves) == 1:
            found.append(Named(label, one, weights[0]))
        else:
            joined = {f"{side}_{key}": v for side, w in zip(("forward", "backward"), weights, strict=True)
                      for key, v in w.items()}  # fmt: skip
            found.append(Named(label, Bidirectional(one), joined))
    return found


def _cell(label: str, halves: Sequence[dict[str, Array]], nonlinearity: str | None) -> tuple[Cell, list[Weights]]:
    """The cell, and its weights for each direction."""
    cell: Cell | None = None
    weights: list[Weights] = []
    for tensors in halves:
        if "weight_hr" in tensors:
            raise _refuse("an LSTM must not project its state (proj_size=0)", f"weight_hr in {label!r}")
        if not {"weight_ih", "weight_hh"} <= set(tensors) or len({"bias_ih", "bias_hh"} & set(tensors)) == 1:
            raise _refuse("a layer must have weight_ih, weight_hh, and both biases or none", f"others in {label!r}")
        W, U = tensors["weight_ih"], tensors["weight_hh"]
        if W.ndim != 2 or U.ndim != 2 or not U.shape[1] or W.shape[0] != U.shape[0] or U.shape[0] % U.shape[1]:
            raise _refuse("weights must be [gates · units, inputs] and [gates · units, units]",
                          f"{W.shape} and {U.shape} in {label!r}")  # fmt: skip
        units, gates = U.shape[1], U.shape[0] // U.shape[1]
        cell = _make(label, gates, units, nonlinearity)
        w: dict[str, Array] = {"W": W.T, "U": U.T}
        if "bias_ih" in tensors:
            b, b_rec = tensors["bias_ih"], tensors["bias_hh"]
            if b.shape != (U.shape[0],) or b_rec.shape != b.shape:
                raise _refuse(f"biases must be [{U.shape[0]}]", f"{b.shape} and {b_rec.shape} in {label!r}")
            with np.errstate(over="ignore"):
                both = b + b_rec
            if not np.isfinite(both).all():
                raise _refuse("the sums of two biases must be finite in float32", f"others in {label!r}")
            w |= {"b": b, "b_rec": b_rec} if gates == 3 else {"b": both}
        weights.append(w)
    assert cell is not None, "a layer has a direction"
    if len({tuple(sorted((k, v.shape) for k, v in w.items())) for w in weights}) > 1:
        raise _refuse("both directions must have weights of the same shapes", f"others in {label!r}")
    return cell, weights


def _make(label: str, gates: int, units: int, nonlinearity: str | None) -> Cell:
    if gates == 4:
        return LSTM(units)
    if gates == 3:
        return GRUResetAfter(units)
    if gates != 1:
        raise _refuse("a layer must have 1 gate (RNN), 3 (GRU) or 4 (LSTM)", f"{gates} in {label!r}")
    if nonlinearity not in NONLINEARITIES:
        raise ConversionError(
            "the nonlinearity of a torch.nn.RNN must be told, since its state_dict does not say it",
            got=repr(nonlinearity),
            where=label,
            fix="Pass nonlinearity='tanh', torch's default, or nonlinearity='relu'.",
        )
    return SimpleRNN(units, activation=nonlinearity)


def _beside(others: Mapping[str, dict[str, Array]], features: int) -> tuple[list[Named], list[Named]]:
    """An embedding before the recurrent layers, a dense layer behind them."""
    before, behind = [], []
    for name, tensors in others.items():
        weight = tensors.get("weight", np.zeros(0))
        if weight.ndim == 3:
            raise _refuse("other modules must be one Embedding and one Linear: of a Conv1d a state_dict says neither "
                          "strides nor padding nor activation", _some({name: weight}))  # fmt: skip
        if weight.ndim != 2 or not set(tensors) <= {"weight", "bias"}:
            raise _refuse("other modules must be one Embedding and one Linear", _some({name: weight}))
        label = name.replace(".", "_") or "dense"
        if "bias" not in tensors and "emb" in name.lower() and weight.shape[1] == features:
            before.append(Named(label, Embedding(*weight.shape), {"table": weight}))
        else:
            bias = {"b": tensors["bias"]} if "bias" in tensors else {}
            behind.append(Named(label, Dense(weight.shape[0], use_bias=bool(bias)), {"W": weight.T, **bias}))
    if len(before) > 1 or len(behind) > 1:
        raise _refuse(
            "there must be at most one Embedding and one Linear, since a state_dict does not say the order and the "
            "nonlinearities of several",
            f"{len(before)} and {len(behind)}",
        )
    return before, behind


def _with_free_names(layers: Sequence[Named]) -> list[Named]:
    """The layers under names that are short and differ."""
    named: dict[str, Named] = {}
    for number, layer in enumerate(layers):
        name = layer.name[:60]
        name = f"{name}_{number}" if name in named else name
        named[name] = Named(name, layer.part, layer.weights)
    return list(named.values())


def _check_chain(layers: Sequence[Named], shape: Shape) -> None:
    for layer in layers:
        needed = layer.part.weights(shape)
        wrong = [k for k, v in layer.weights.items() if k not in needed or needed[k].shape != v.shape]
        if wrong:
            raise _refuse(f"layer {layer.name!r} must fit the output of the one before it, {shape}",
                          str({k: layer.weights[k].shape for k in wrong}))  # fmt: skip
        shape = layer.part.out_shape(shape)


def _some(arrays: Mapping[str, Array]) -> str:
    return ", ".join(f"{name[:60]!a} {a.shape}" for name, a in list(arrays.items())[:5]) or "no tensors"


def _refuse(rule: str, got: str) -> ConversionError:
    return ConversionError(rule, got=got, fix="Convert a model of such layers, or rename its tensors as torch does.")
