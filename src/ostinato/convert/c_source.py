"""A network as C source: its weights as arrays, and a function that hands them to the step machine's C library."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from ostinato.errors import ArgumentError, ConversionError
from ostinato.maps.activation import Activation
from ostinato.maps.base import Array, Part, Weights
from ostinato.maps.dense import Dense
from ostinato.maps.embedding import Embedding
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.maps.unembedding import Unembedding
from ostinato.runtime import Network, composed, native
from ostinato.runtime.compiled_steps import mask_after, silences, why_not
from ostinato.scans.recurrent import Recurrent

_CELLS = ("RNN_TANH", "RNN_RELU", "LSTM", "GRU", "GRU_RESET_AFTER")


def c_source(network: Network, *, name: str = "model") -> str:
    """A header for C or C++ with `NAME_stack(isa)`, `NAME_INPUTS` and `NAME_SYMBOLS`; every number is exact.

    It needs `ostinato/machine.h` and the static library (`cmake -DOSTINATO_LIBRARY=ON native`); see
    `native/examples/stream.c`. A machine of it gives the bits of `network.stream()` on the same instruction set.

    Args:
        network: As `load` gives it.
        name: What its names in C begin with.

    Raises:
        ConversionError: A layer is none of the step machine's, or the network is in bf16.
        ArgumentError: It cannot run step by step at all, is no network, or `name` is no name in C.
        KernelError: This installation has no compiled kernels.
    """
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name) is None:
        raise ArgumentError("name must be a name in C", got=f"{name!r:.80}", fix='Pass, say, "model".')
    if not isinstance(network, Network):
        raise ArgumentError(
            "network must be a Network, as load gives it of a Sequential", got=type(network).__name__,
            fix="Run a whole task from Python; C has its network alone.",
        )  # fmt: skip
    native.module()
    step = network.stepping.network
    reason = why_not(step) if network.precision == "float32" else f"a network in {network.precision}"
    if reason is not None:
        raise ConversionError(
            "a network in C must be of the step machine's layers in float32", got=reason, fix="Run it from Python."
        )
    arrays: list[str] = []
    layers: list[str] = []
    masked = False
    for number, (part, w) in enumerate(zip(step.machine.parts, step.machine.weights, strict=True)):
        if masked and silences(part):
            layers.append("ostinato_silence(stack)")
        layers += _layer(part, w, f"{name}_{number}", arrays)
        if masked and isinstance(part, Recurrent) and not part.return_sequences:
            layers.append("ostinato_last_output(stack)")
        masked = mask_after(part, masked=masked)
    width = step.machine.weights[0]["table"].shape[1] if step.reading.symbols else step.reading.width
    upper = name.upper()
    return "\n".join(
        [
            "/* Written by ostinato; the numbers are exact. */",
            "#pragma once",
            "#include <ostinato/machine.h>",
            "",
            f"#define {upper}_INPUTS {width}",
            f"#define {upper}_SYMBOLS {step.reading.symbols}",
            "",
            *arrays,
            "/* The network's layers; NULL if there is no memory, or no such instruction set (NULL: the best one). */",
            f"static inline ostinato_stack* {name}_stack(const char* isa) {{",
            f"    ostinato_stack* const stack = ostinato_stack_new(isa, {upper}_INPUTS, {upper}_SYMBOLS);",
            "    if (!stack) return NULL;",
            "    int wrong = 0;",
            *(f"    wrong |= {line};" for line in layers),
            "    if (!wrong) return stack;",
            "    ostinato_stack_free(stack);",
            "    return NULL;",
            "}",
            "",
        ]
    )


def _layer(part: Part, w: Weights, name: str, arrays: list[str]) -> Iterator[str]:
    """Calls that add a layer; its numbers go to `arrays`."""

    def array(key: str, value: Array | None) -> str:
        if value is None:
            return "NULL"
        arrays.append(_array(f"{name}_{key}", value))
        return f"{name}_{key}"

    if isinstance(part, TimeDistributed):
        yield from _layer(part.inner, w, name, arrays)
    elif isinstance(part, Recurrent):
        number = native.key(part.cell)
        starts = ", ".join(array(key, w.get(key)) for key in ("start_h", "start_c"))
        if isinstance(number, int):
            given = ", ".join(array(key, w.get(key)) for key in ("W", "U", "b", "b_rec"))
            yield f"ostinato_recurrent(stack, OSTINATO_{_CELLS[number]}, {part.cell.units}, {given}, {starts})"
        else:
            named = {field: array(key, w[key]) for key, field in composed.WEIGHTS.items() if key in w}
            fields = ", ".join(named.get(field, "NULL") for field in dict.fromkeys(composed.WEIGHTS.values()))
            arrays.append(f"static const struct ostinato_cell_weights {name}_weights = {{{fields}}};\n")
            f, g, epsilon = composed.options(part.cell)
            yield (
                f"ostinato_recurrent_of(stack, OSTINATO_{composed.FORMULAS[type(part.cell)]}, {part.cell.units}, "
                f"OSTINATO_{f.upper()}, OSTINATO_{g.upper()}, {_number(epsilon)}, &{name}_weights, {starts})"
            )
        if part.zoneout:
            yield f"ostinato_zoneout(stack, {_number(part.zoneout)})"
    elif isinstance(part, Masking):
        yield f"ostinato_masking(stack, {_number(part.mask_value)})"
    elif isinstance(part, Embedding):
        yield f"ostinato_embedding(stack, {array('table', w['table'])})"
        if part.mask_zero:
            yield "ostinato_mask_zero(stack)"
    elif isinstance(part, (Dense, Unembedding)):
        main = w["W"] if isinstance(part, Dense) else w["table"].T
        yield f"ostinato_dense(stack, {part.units}, {array('W', main)}, {array('b', w.get('b'))})"
        if isinstance(part, Dense) and part.activation != "linear":
            yield f"ostinato_activation(stack, OSTINATO_{part.activation.upper()})"
    elif isinstance(part, Activation):
        yield f"ostinato_activation(stack, OSTINATO_{part.activation.upper()})"
    elif isinstance(part, LayerNorm):
        numbers = f"{array('gamma', w['gamma'])}, {array('beta', w['beta'])}, {_number(part.epsilon)}"
        yield f"ostinato_layer_norm(stack, {numbers})"


def _number(value: float) -> str:
    number = float(np.float32(value))
    if math.isfinite(number):
        return f"{number.hex()}f"
    return "(0.0f / 0.0f)" if math.isnan(number) else f"({'-' if number < 0 else ''}1.0f / 0.0f)"


def _array(name: str, value: Array) -> str:
    """A definition, six numbers a line, in hexadecimal."""
    numbers = [_number(x) for x in np.ravel(np.ascontiguousarray(value, np.float32)).tolist()]
    lines = [", ".join(numbers[i : i + 6]) for i in range(0, len(numbers), 6)]
    shape = ", ".join(map(str, value.shape))
    return f"static const float {name}[] = {{  /* [{shape}] */\n    " + ",\n    ".join(lines) + "};\n"
