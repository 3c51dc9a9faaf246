"""ONNX Runtime: the operators LSTM, GRU and RNN. It has no gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from rivals.base import Rival, Way
from rivals.problem import POOLED, RAGGED_INFER, RAGGED_TRAIN, STEP, TRAIN, Floats, Problem, signed

OPERATORS = {
    "simple_rnn": ("RNN", ("h",), {}),
    "lstm": ("LSTM", "iofc", {}),
    "gru": ("GRU", "zrn", {"linear_before_reset": 0}),
    "gru_reset_after": ("GRU", "zrn", {"linear_before_reset": 1}),
}
OPSET, IR = 14, 8


class ONNXRuntime(Rival):
    """All graph optimisations, as many threads as torch, arrays time first as the operator wants them. Ways: called
    with arrays or with bound memory; where one row runs alone, also on one thread."""

    @property
    def version(self) -> str:
        return str(onnxruntime.__version__)

    def ways(self, problem: Problem, kind: str) -> dict[str, Way]:
        if kind in (TRAIN, RAGGED_TRAIN):
            return {}
        stepping = kind in (STEP, POOLED)
        model = graph(problem, ragged=kind == RAGGED_INFER, stepping=stepping)
        feeds = {"x": np.ascontiguousarray(problem.x.transpose(0, 1).numpy())}
        if kind == RAGGED_INFER:
            feeds["lengths"] = problem.lengths.numpy().astype(np.int32)
        found = {}
        for threads in sorted({self.threads, 1} if problem.size.batch == 1 else {self.threads}):
            make = stepped if stepping else whole
            for name, way in make(session(model, threads), feeds, problem).items():
                found[f"{name}, {threads} threads"] = way
        return found


def graph(problem: Problem, *, ragged: bool, stepping: bool) -> bytes:
    """The model: one operator, with start and last states as inputs and outputs when `stepping`."""
    operator, order, extra = OPERATORS[problem.name]
    w = signed(problem, order) if len(order) > 1 else problem.arrays()
    bias = np.concatenate([w["b"], w.get("b_rec", np.zeros_like(w["b"]))])
    weights = {"W": w["W"].T, "R": w["U"].T, "B": bias}
    size, states = problem.size, problem.cell.states if stepping else ()
    starts = [f"{s}0" for s in states]
    names = ["x", "W", "R", "B", "lengths" if ragged else "", *starts]
    lasts = [f"{s}1" for s in states]
    node = helper.make_node(operator, names, ["", *lasts] if stepping else ["y"], hidden_size=size.units, **dict(extra))
    batch, units = size.batch, size.units
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [size.time, batch, size.inputs])]
    if ragged:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, [batch]))
    inputs += [helper.make_tensor_value_info(s, TensorProto.FLOAT, [1, batch, units]) for s in starts]
    outputs = [helper.make_tensor_value_info(s, TensorProto.FLOAT, [1, batch, units]) for s in lasts]
    if not stepping:
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [size.time, 1, batch, units])]
    tensors = [numpy_helper.from_array(np.ascontiguousarray(v[None]), k) for k, v in weights.items()]
    made = helper.make_graph([node], problem.name, inputs, outputs, tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def session(model: bytes, threads: int) -> Any:
    """A session with its options set."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def whole(running: Any, feeds: dict[str, Any], problem: Problem) -> dict[str, Way]:
    """Whole sequences."""
    size = problem.size
    y = np.zeros((size.time, 1, size.batch, size.units), np.float32)
    binding = running.io_binding()
    kept = {key: onnxruntime.OrtValue.ortvalue_from_numpy(value) for key, value in feeds.items()}
    for key, value in kept.items():
        binding.bind_ortvalue_input(key, value)
    binding.bind_output("y", "cpu", 0, np.float32, y.shape, y.ctypes.data)

    def bound() -> Floats:
        running.run_with_iobinding(binding)
        return y

    return {
        "arrays": Way(lambda: running.run(["y"], feeds)[0], _by_batch),
        "bound": Way(bound, _by_batch),
    }


def stepped(running: Any, feeds: dict[str, Any], problem: Problem) -> dict[str, Way]:
    """Single steps; the states are fed back."""
    states, (batch, units) = problem.cell.states, problem.state[0].shape
    feeds = {**feeds, **{f"{s}0": np.zeros((1, batch, units), np.float32) for s in states}}
    starts, lasts = [f"{s}0" for s in states], [f"{s}1" for s in states]

    def arrays() -> Floats:
        found = running.run(lasts, feeds)
        feeds.update(zip(starts, found, strict=True))
        return found[0]

    # Two sets of memory, of which each step reads one and writes the other.
    memory = [[np.zeros((1, batch, units), np.float32) for _ in states] for _ in range(2)]
    x = onnxruntime.OrtValue.ortvalue_from_numpy(feeds["x"])
    bindings = []
    for source, target in ((memory[0], memory[1]), (memory[1], memory[0])):
        binding = running.io_binding()
        binding.bind_ortvalue_input("x", x)
        for name, array in zip(starts, source, strict=True):
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in zip(lasts, target, strict=True):
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        bindings.append(binding)
    turn = 0

    def bound() -> Floats:
        nonlocal turn
        running.run_with_iobinding(bindings[turn])
        turn = 1 - turn
        return memory[turn][0]

    def read(h: Floats) -> Floats:
        return h[0][:, None].copy()

    return {"arrays": Way(arrays, read), "bound": Way(bound, read)}


def _by_batch(y: Floats) -> Floats:
    return y[:, 0].transpose(1, 0, 2).copy()
