"""An ONNX graph while it is written: nodes, numbers, and the bodies of its loops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ostinato._optional import require

OPSET = 18
"""Version of the operators; ONNX Runtime has it since 1.14."""

IR_VERSION = 8
"""Version of the file format, the oldest that goes with these operators."""

_SMALL = 16


class Graph:
    """Collects nodes. Names are unique in the whole model, so that loop bodies may use what lies outside of them."""

    def __init__(self) -> None:
        self.onnx = require("onnx", purpose="to write ONNX models")
        self._numpy = require("onnx.numpy_helper", purpose="to write ONNX models")
        self._scopes: list[list[Any]] = [[]]
        self._numbers: dict[str, np.ndarray[Any, Any]] = {}
        self._small: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def name(self, hint: str) -> str:
        """A name that nothing else has."""
        self._count += 1
        return f"{hint}_{self._count}"

    def constant(self, array: np.ndarray[Any, Any], *, hint: str = "const") -> str:
        """The name of these numbers, which are stored if something uses them; small ones are stored once."""
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= _SMALL else None
        if key is not None and key in self._small:
            return self._small[key]
        name = self.name(hint)
        self._numbers[name] = array
        if key is not None:
            self._small[key] = name
        return name

    def node(self, op: str, inputs: Sequence[str], *, outputs: int | Sequence[str] = 1, **attributes: Any) -> list[str]:
        """Append a node; names of its outputs, which may be given."""
        names = [self.name(op.lower()) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self._scopes[-1].append(self.onnx.helper.make_node(op, list(inputs), names, name=names[0], **attributes))
        return names

    def info(self, name: str, dtype: str, shape: Sequence[int | str | None] | None) -> Any:
        """The description of an input or output; a text is the name of an open size."""
        return self.onnx.helper.make_tensor_value_info(name, ELEMENT[dtype], shape)

    @contextmanager
    def body(self) -> Iterator[list[Any]]:
        """Nodes that are appended meanwhile go into the list that is given, which a loop can then hold."""
        nodes: list[Any] = []
        self._scopes.append(nodes)
        try:
            yield nodes
        finally:
            self._scopes.pop()

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any], *, producer: str) -> Any:
        """The whole model, without what no output needs, checked.

        Args:
            inputs: Descriptions from `info`.
            outputs: Likewise.
            producer: Version of the software that writes the model.
        """
        helper = self.onnx.helper
        nodes = needed(self._scopes[0], {o.name for o in outputs})
        used = {name for node in nodes for name in reads(node)}
        numbers = [self._numpy.from_array(a, name) for name, a in self._numbers.items() if name in used]
        graph = helper.make_graph(nodes, "ostinato", inputs, outputs, numbers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="ostinato",
            producer_version=producer,
            ir_version=IR_VERSION,
        )
        self.onnx.checker.check_model(model, full_check=True)
        return model


ELEMENT = {"float32": 1, "int32": 6, "int64": 7, "bool": 9}
"""ONNX's numbers of the types that are used."""


def needed(nodes: Sequence[Any], wanted: set[str]) -> list[Any]:
    """The nodes, in their order, that these outputs depend on."""
    wanted, kept = set(wanted), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= reads(node)
    return kept[::-1]


def reads(node: Any) -> set[str]:
    """All names that a node uses, those inside its loop body included."""
    found = {name for name in node.input if name}
    for attribute in node.attribute:
        for inner in attribute.g.node:
            found |= reads(inner)
        found |= {o.name for o in attribute.g.output}
    return found
