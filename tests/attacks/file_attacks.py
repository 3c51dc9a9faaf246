"""Hostile and damaged model files: foreign, cut, with bent headers, manifests, layers and numbers."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

from tests.attacks.build import (
    CELL,
    DATA,
    DENSE,
    TENSORS,
    Attack,
    Tensor,
    manifest,
    model,
    sealed,
    with_layers,
    with_options,
)

ATTACKS: dict[str, Callable[[], Attack]] = {}


def put(name: str, code: str, make: Callable[[], bytes]) -> None:
    """Register an attack."""
    ATTACKS[name] = lambda: (code, make())


# --- foreign files: named, never opened -------------------------------------------------------------------------------


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"x" * 100)
    return buffer.getvalue()


class _RunsCode:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("this must never run",)


def _zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("config.json"), bytes(10_000_000), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


UNSUPPORTED: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "zip_bomb": _zip_bomb,
    "pickle_0": lambda: pickle.dumps(_RunsCode(), 0),
    "pickle_2": lambda: pickle.dumps(_RunsCode(), 2),
    "pickle_4": lambda: pickle.dumps(_RunsCode(), 4),
    "pickle_5": lambda: pickle.dumps([_RunsCode()], 5),
    "torch_zip": lambda: _zip("archive/data.pkl", "archive/version"),
    "torch_legacy": lambda: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(_RunsCode(), 2),
    "keras_zip": lambda: _zip("metadata.json", "config.json", "model.weights.h5"),
    "npz": lambda: _zip("arr_0.npy"),
    "zip_traversal": lambda: _zip("../../etc/passwd"),
    "empty_zip": lambda: _zip(),
    "npy": lambda: b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
    "hdf5_external_link": lambda: b"\x89HDF\r\n\x1a\n" + b"\x00" * 100,
    "gzip_without_time": lambda: gzip.compress(b"x" * 1000, mtime=0),
    "onnx_external_data": lambda: b"\x08\x07\x12\x07pytorch\x1a\x052.0.0:\x10location../../x",
    "tflite": lambda: b"\x1c\x00\x00\x00TFL3" + bytes(50),
    "lfs_pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "json_text": lambda: b'{"class_name": "Lambda", "config": {"function": "os.system"}}',
    "html_page": lambda: b"<!doctype html><title>404</title>",
    "python_source": lambda: b"import os\nos.system('true')\n",
    "plain_safetensors": lambda: sealed('{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'),
    "safetensors_of_others": lambda: sealed('{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[18],'
                                            '"data_offsets":[0,36]}}'),
}  # fmt: skip
for _name, _make in UNSUPPORTED.items():
    put(_name, "unsupported_format", _make)

# --- lengths ----------------------------------------------------------------------------------------------------------

LENGTHS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "eight_bytes": ("truncated", lambda: model()[:8]),
    "length_zero": ("header_length", lambda: bytes(8) + b"{}" + DATA),
    "length_2_63": ("header_length", lambda: struct.pack("<Q", 2**63) + model()[8:]),
    "length_all_ones": ("header_length", lambda: b"\xff" * 8 + model()[8:]),
    "length_100_mb": ("header_length", lambda: struct.pack("<Q", 100_000_000) + model()[8:]),
    "length_just_over": ("header_length", lambda: struct.pack("<Q", (1 << 20) + 1) + b"{" + b" " * (2 << 20)),
    "length_beyond_file": ("truncated", lambda: struct.pack("<Q", 1 << 20) + model()[8:]),
    "length_not_of_eight": ("header_length", lambda: struct.pack("<Q", len(_raw()) + 1) + _raw() + b" " + DATA),
    "cut_in_header": ("truncated", lambda: model()[:100]),
    "cut_in_data": ("truncated", lambda: model()[:-1]),
    "no_data": ("truncated", lambda: model()[: -len(DATA)]),
    "appended_byte": ("trailing", lambda: model() + b"\x00"),
    "appended_zip": ("trailing", lambda: model() + _zip("data.pkl")),
    "two_models": ("trailing", lambda: model() + model()),
}


def _raw() -> bytes:
    return model()[8 : -len(DATA)]


for _name, (_code, _make) in LENGTHS.items():
    put(_name, _code, _make)

# --- header -----------------------------------------------------------------------------------------------------------

_F = '{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}'
HEADERS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "not_utf8": ("utf8", lambda: sealed(b'{"\xff\xfe":1}')),
    "overlong_utf8": ("utf8", lambda: sealed(b'{"\xc0\xaf":1}')),
    "surrogate_utf8": ("utf8", lambda: sealed(b'{"\xed\xa0\x80":1}')),
    "array_header": ("json", lambda: sealed("[1]")),
    "space_in_front": ("json", lambda: sealed(b" " + _raw())),
    "unclosed": ("json", lambda: sealed('{"a":')),
    "unclosed_string": ("json", lambda: sealed('{"a')),
    "escaped_quotes": ("json", lambda: sealed('{"' + '\\"' * 400_000)),
    "two_values": ("json", lambda: sealed("{}{}")),
    "nan_number": ("json", lambda: model(more=',"x":NaN')),
    "comment": ("json", lambda: sealed("{/* */}")),
    "deep_lists": ("depth", lambda: sealed('{"a":' + "[" * 500_000)),
    "deep_objects": ("depth", lambda: sealed('{"a":' * 100_000)),
    "deep_unknown_field": ("depth", lambda: model(more=',"x":' + "[" * 50_000 + "]" * 50_000)),
    "duplicate_tensor": ("duplicate_key", lambda: model(more=f',"layers/0/W":{_F}')),
    "duplicate_metadata": ("duplicate_key", lambda: model(more=',"__metadata__":{}')),
    "duplicate_manifest": ("duplicate_key", lambda: model(metadata=',"ostinato":"{}"')),
    "duplicate_dtype": ("duplicate_key", lambda: model(more=',"x":{"dtype":"F32","dtype":"U8"}')),
    "escaped_duplicate": ("json", lambda: model(more=f',"\\u006cayers/0/W":{_F}')),
    "many_keys": ("too_many", lambda: sealed("{" + ",".join(f'"{i}":0' for i in range(90_000)) + "}")),
    "many_tensors": ("too_many", lambda: model(tensors=[*TENSORS, *_nothing(16_400)])),
    "unknown_tensor_field": ("header", lambda: model(more=f',"x":{_F[:-1]},"file":"../x"}}')),
    "tensor_is_number": ("header", lambda: model(more=',"x":1')),
    "minus_zero": ("header", lambda: model(more=',"x":{"dtype":"F32","shape":[0],"data_offsets":[-0,0]}')),
    "negative_offset": ("offsets", lambda: model(tensors=[("layers/0/W", "F32", [2, 3], -24, 0), TENSORS[1]])),
    "float_offset": ("header", lambda: model(more=',"x":{"dtype":"F32","shape":[1],"data_offsets":[0.0,4.0]}')),
    "boolean_shape": ("header", lambda: model(more=',"x":{"dtype":"F32","shape":[true],"data_offsets":[0,4]}')),
    "metadata_number": ("header", lambda: sealed('{"__metadata__":{"ostinato":1}}')),
    "metadata_list": ("header", lambda: sealed('{"__metadata__":["ostinato"]}')),
    "metadata_more": ("header", lambda: model(metadata=',"code":"import os"')),
    "no_header_digest": ("header_digest", lambda: sealed('{"__metadata__":{"ostinato":"{}"}}')),
    "wrong_header_digest": ("header_digest", lambda: model().replace(b"tanh", b"relu")),
    "repeated_header_digest": ("header_digest", lambda: _repeated_digest()),
    "upper_case_digest": ("header_digest", lambda: sealed('{"__metadata__":{"ostinato":"{}","header_sha256":"'
                                                          + "A" * 64 + '"}}')),
}  # fmt: skip


def _nothing(count: int) -> list[Tensor]:
    return [(f"t/{i}", "F32", [0], 36, 36) for i in range(count)]


def _repeated_digest() -> bytes:
    digest = "ab" * 32
    meta = f'{{"header_sha256":"{digest}","ostinato":"{digest}"}}'
    return sealed(f'{{"__metadata__":{meta}}}')


for _name, (_code, _make) in HEADERS.items():
    put(_name, _code, _make)

# --- tensors ----------------------------------------------------------------------------------------------------------


def _tensors(*tensors: Tensor, data: bytes = DATA) -> Callable[[], bytes]:
    return lambda: model(tensors=tensors, data=data)


W, B = TENSORS
TENSOR_ATTACKS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "f16": ("dtype", _tensors(("layers/0/W", "F16", [2, 6], 0, 24), B)),
    "bf16_of_twice_the_size": ("tensors", _tensors(("layers/0/W", "BF16", [2, 6], 0, 24), B)),
    "object_dtype": ("dtype", _tensors(("layers/0/W", "O", [2, 3], 0, 24), B)),
    "long_dtype": ("dtype", _tensors(("layers/0/W", "F" * 100_000, [2, 3], 0, 24), B)),
    "five_axes": ("shape", _tensors(W, B, ("task/x", "F32", [0, 1, 1, 1, 1], 36, 36))),
    "many_axes": ("shape", _tensors(W, B, ("task/x", "F32", [0] * 100_000, 36, 36))),
    "negative_size": ("shape", _tensors(W, B, ("task/x", "F32", [-1, -1], 36, 40))),
    "size_2_31": ("shape", _tensors(W, B, ("task/x", "F32", [2**31, 0], 36, 36))),
    "size_2_64": ("shape", _tensors(W, B, ("task/x", "F32", [2**64], 36, 36))),
    "zero_times_2_93": ("shape", _tensors(W, B, ("task/x", "F32", [2**31 - 1, 2**31 - 1, 2**31 - 1, 0], 36, 36))),
    "product_wraps_to_zero": ("shape", _tensors(W, B, ("task/x", "F32", [2**30, 2**30, 16], 36, 36))),
    "product_wraps_to_four": ("shape", _tensors(W, B, ("task/x", "U8", [641, 6700417, 2147483647, 1], 36, 40))),
    "terabyte": ("offsets", _tensors(W, B, ("task/x", "F32", [2**31 - 1, 256], 36, 40))),
    "terabyte_declared": ("truncated", _tensors(W, B, ("task/x", "F32", [2**30, 256], 36, 36 + 2**40))),
    "offset_2_64": ("offsets", _tensors(W, ("layers/0/b", "F32", [3], 2**64 - 12, 2**64))),
    "offsets_swapped": ("offsets", _tensors(("layers/0/W", "F32", [2, 3], 24, 0), B)),
    "overlap": ("offsets", _tensors(W, ("layers/0/b", "F32", [3], 12, 24))),
    "same_bytes_twice": ("offsets", _tensors(W, B, ("task/x", "F32", [3], 24, 36))),
    "gap": ("offsets", _tensors(W, ("layers/0/b", "F32", [3], 28, 40), data=DATA + bytes(4))),
    "gap_in_front": ("offsets", _tensors(("layers/0/W", "F32", [2, 3], 4, 28), ("layers/0/b", "F32", [3], 28, 40))),
    "unaligned": ("offsets", _tensors(("task/x", "U8", [1], 0, 1), ("layers/0/W", "F32", [2, 3], 1, 25),
                                      ("layers/0/b", "F32", [3], 25, 37), data=b"x" + DATA)),
    "hidden_data": ("trailing", _tensors(W, data=DATA)),
    "missing_bias": ("tensors", _tensors(W, data=DATA[:24])),
    "no_tensors": ("tensors", _tensors(data=b"")),
    "extra_weight": ("tensors", _tensors(W, B, ("layers/0/U", "F32", [], 36, 40), data=DATA + bytes(4))),
    "weight_of_no_layer": ("tensors", _tensors(W, B, ("layers/1/W", "F32", [], 36, 40), data=DATA + bytes(4))),
    "foreign_name": ("tensors", _tensors(W, B, ("lm_head.weight", "F32", [], 36, 40), data=DATA + bytes(4))),
    "index_with_zero": ("tensors", _tensors(("layers/00/W", "F32", [2, 3], 0, 24), B)),
    "transposed": ("tensors", _tensors(("layers/0/W", "F32", [3, 2], 0, 24), B)),
    "flattened": ("tensors", _tensors(("layers/0/W", "F32", [6], 0, 24), B)),
    "float64_weight": ("tensors", _tensors(("layers/0/W", "F64", [2, 3], 0, 48), ("layers/0/b", "F32", [3], 48, 60),
                                           data=bytes(60))),
    "task_traversal": ("task_tensor", _tensors(W, B, ("task/../../etc/passwd", "U8", [0], 36, 36))),
    "task_nul": ("task_tensor", _tensors(W, B, ("task/a b", "U8", [0], 36, 36))),
    "task_backslash": ("json", _tensors(W, B, ("task/..\\x", "U8", [0], 36, 36))),
    "task_encoded": ("task_tensor", _tensors(W, B, ("task/%252e%252e", "U8", [0], 36, 36))),
    "task_without_name": ("task_tensor", _tensors(W, B, ("task/", "U8", [0], 36, 36))),
    "task_long_name": ("task_tensor", _tensors(W, B, ("task/" + "x" * 900_000, "U8", [0], 36, 36))),
}  # fmt: skip
for _name, (_code, _make) in TENSOR_ATTACKS.items():
    put(_name, _code, _make)

# --- manifest ---------------------------------------------------------------------------------------------------------


def _layers(*layers: dict[str, Any], **changes: Any) -> Callable[[], bytes]:
    return lambda: with_layers(*layers, **changes)


def _kind(kind: str, **config: Any) -> Callable[[], bytes]:
    return _layers({"name": "d", "kind": kind, "config": config})


def _cells(count: int, layer: str = "recurrent", **changes: Any) -> Callable[[], bytes]:
    return _layers({"name": "r", "kind": layer, "cells": [CELL | changes] * count}, input_shape=[None, 2])


def _text(text: str) -> Callable[[], bytes]:
    return lambda: model(text)


def _manifest(**changes: Any) -> Callable[[], bytes]:
    return lambda: model(manifest(**changes))


MANIFESTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "manifest_empty": ("manifest", _text("")),
    "manifest_number": ("manifest", _text("1")),
    "manifest_list": ("manifest", _text("[]")),
    "manifest_unclosed": ("manifest", _text('{"format":1')),
    "manifest_duplicate": ("duplicate_key", _text('{"format":1,"format":2}')),
    "manifest_deep": ("depth", _text('{"format":1,"options":' + "[" * 100_000)),
    "manifest_deep_unknown": ("depth", _text('{"format":1,"x":' + '{"a":' * 40_000)),
    "manifest_large": ("manifest_size", lambda: model(manifest(options={"a": "x" * (256 << 10)}))),
    "manifest_unknown_field": ("manifest", _manifest(callbacks=["os.system"])),
    "manifest_missing_field": ("manifest", _text('{"format":1,"ostinato":"0.1.0"}')),
    "manifest_surrogate": ("manifest", _text('{"format":1,"ostinato":"\\ud800"}')),
    "manifest_no_digest": ("manifest", lambda: model({k: v for k, v in manifest().items() if k != "data_sha256"})),
    "manifest_bad_digest": ("manifest", _manifest(data_sha256="0" * 63 + "\n")),
    "manifest_digest_list": ("manifest", _manifest(data_sha256=["0" * 64])),
    "task_is_a_path": ("manifest", _manifest(task="../../etc/passwd")),
    "task_is_a_module": ("manifest", _manifest(task="os.system")),
    "format_zero": ("manifest", _manifest(format=0)),
    "format_text": ("manifest", _manifest(format="1")),
    "format_true": ("manifest", _manifest(format=True)),
    "format_2": ("newer_format", _manifest(format=2, ostinato="1.4.0", new_field={"a": [1]})),
    "format_2_63": ("newer_format", _manifest(format=2**63 - 1)),
    "format_huge": ("manifest", _manifest(format=10**4000)),
    "newer_with_hostile_version": ("newer_format", _manifest(format=2, ostinato="; rm -rf /\x1b[2J" * 1000)),
    "options_nested": ("manifest", _manifest(options={"a": {"b": 1}})),
    "options_huge_number": ("manifest", _manifest(options={"a": 10**4000})),
    "members_zero": ("manifest", _manifest(members=0)),
    "members_many": ("manifest", _manifest(members=2**40)),
    "members_without_axis": ("tensors", _manifest(members=2)),
    "input_zero": ("manifest", _manifest(input_shape=[0])),
    "input_negative": ("manifest", _manifest(input_shape=[-2])),
    "input_huge": ("manifest", _manifest(input_shape=[2**40])),
    "input_many_axes": ("manifest", _manifest(input_shape=[1] * 10_000)),
    "long_layer_name": ("manifest", _layers(DENSE | {"name": "x" * 200_000})),
    "layer_unknown_field": ("manifest", _layers(DENSE | {"module": "os", "class_name": "system"})),
    "lambda": ("unknown_layer", _kind("Lambda", function="4wEAAAAA", module="builtins")),
    "tfsm_layer": ("unknown_layer", _kind("TFSMLayer", filepath="/tmp/evil")),
    "dotted_kind": ("unknown_layer", _kind("os.system", command="true")),
    "private_kind": ("unknown_layer", _kind("_check")),
    "base_kind": ("unknown_layer", _kind("base")),
    "dunder_kind": ("unknown_layer", _kind("__class__")),
    "traversal_kind": ("unknown_layer", _kind("../../cells/lstm")),
    "control_kind": ("unknown_layer", _kind("\x1b[2J\nForged line")),
    "unknown_cell": ("unknown_layer", _cells(1, kind="os.system")),
    "unknown_layer_with_cells": ("unknown_layer", _cells(1, layer="RNN")),
    "cell_as_layer": ("unknown_layer", _cells(1, layer="lstm")),
    "map_as_cell": ("unknown_layer", _cells(1, kind="dense")),
    "unknown_inner": ("unknown_layer", _layers({"name": "t", "kind": "time_distributed", "inner": "Lambda"})),
    "inner_in_inner": ("unknown_layer", _layers({"name": "t", "kind": "time_distributed", "inner": "time_distributed",
                                                 "config": {"inner": 1}})),
    "inner_of_dense": ("options", _layers(DENSE | {"inner": "dense"})),
    "cells_of_dense": ("options", _layers(DENSE | {"cells": [CELL]})),
    "no_cell": ("options", _cells(0)),
    "two_cells": ("options", _cells(2)),
    "three_cells": ("options", _layers({"name": "r", "kind": "bidirectional", "config": {"merge_mode": "sum"},
                                        "cells": [CELL] * 3})),
    "both_forward": ("options", _layers({"name": "r", "kind": "bidirectional", "config": {"merge_mode": "sum"},
                                         "cells": [CELL] * 2})),
    "config_of_recurrent": ("options", _layers({"name": "r", "kind": "recurrent", "cells": [CELL],
                                                "config": {"a": 1}})),
    "unknown_option": ("options", lambda: with_options(function="os.system")),
    "missing_option": ("options", _kind("dense", units=3)),
    "text_units": ("options", lambda: with_options(units="3")),
    "float_units": ("options", lambda: with_options(units=3.0)),
    "null_units": ("options", lambda: with_options(units=None)),
    "boolean_units": ("options", lambda: with_options(units=True)),
    "zero_units": ("options", lambda: with_options(units=0)),
    "epsilon_zero": ("options", _kind("layer_norm", epsilon=0.0)),
    "epsilon_negative": ("options", _kind("layer_norm", epsilon=-1e-3)),
    "negative_units": ("options", lambda: with_options(units=-3)),
    "units_2_40": ("manifest", lambda: with_options(units=2**40)),
    "units_2_31": ("tensors", lambda: with_options(units=2**31 - 1)),
    "lstm_2_31": ("tensors", _cells(1, config=CELL["config"] | {"units": 2**31 - 1})),  # type: ignore[operator]
    "activation_code": ("options", lambda: with_options(activation="__import__('os').system('true')")),
    "activation_long": ("options", lambda: with_options(activation="x" * 200_000)),
    "activation_control": ("options", lambda: with_options(activation="\x1b]0;owned\x07\n")),
    "rate_2": ("options", _kind("dropout", rate=2.0, over_time=False)),
    "reshape_long": ("manifest", _kind("reshape", target_shape=[1] * 50_000)),
    "reshape_wrong": ("layers", _kind("reshape", target_shape=[2**31 - 1] * 8)),
    "no_sequence": ("layers", _layers({"name": "r", "kind": "recurrent", "cells": [CELL]})),
    "open_flatten": ("layers", _layers({"name": "f", "kind": "flatten"}, input_shape=[None, 2])),
    "growing_axes": ("layers", _layers(*[{"name": "e", "kind": "embedding", "config": {"input_dim": 2**31 - 1,
                     "output_dim": 2**31 - 1, "mask_zero": False}}] * 1000, {"name": "f", "kind": "flatten"})),
    "large_repeat": ("layers", _layers(*[{"name": "v", "kind": "repeat_vector", "config": {"n": 2**31 - 1}},
                                         {"name": "f", "kind": "flatten"}] * 3)),
    "many_layers": ("tensors", _layers(*[DENSE] * 2500)),
    "no_layers": ("tensors", _layers()),
}  # fmt: skip
for _name, (_code, _make) in MANIFESTS.items():
    put(_name, _code, _make)

# --- numbers ----------------------------------------------------------------------------------------------------------


def _numbers(*values: float) -> Callable[[], bytes]:
    data = struct.pack("<9f", *values, *[0.0] * (9 - len(values)))
    return lambda: model(manifest(data), data=data)


put("nan_weight", "nonfinite", _numbers(float("nan")))
put("infinite_weight", "nonfinite", _numbers(1.0, float("inf")))
put("signalling_nan", "nonfinite", lambda: _bits(0x7F800001))
put("other_data", "digest", lambda: model()[:-1] + b"\x01")
put("zeroed_data", "digest", lambda: model()[: -len(DATA)] + bytes(len(DATA)))
put("digest_of_other_data", "digest", _manifest(data_sha256="0" * 63 + "1"))


def _bits(word: int) -> bytes:
    data = struct.pack("<I", word) + DATA[4:]
    return model(manifest(data), data=data)
