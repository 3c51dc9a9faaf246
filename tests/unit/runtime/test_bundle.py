"""Saving and loading a model: the same numbers, the same bytes, all or nothing."""

from __future__ import annotations

import errno
import os
import pickle
import stat
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.runtime.bundle_samples import bundle, small, stacks

from ostinato.cells import CELLS
from ostinato.errors import ArgumentError, ModelFileError
from ostinato.maps import MAPS
from ostinato.runtime import atomic
from ostinato.runtime.bundle import Bundle, load, save
from ostinato.runtime.machine import Machine, stacked, unstacked
from ostinato.runtime.manifest import _TYPES
from ostinato.scans import SCANS


def same(one: Bundle, other: Bundle) -> None:
    assert one.parts == other.parts
    assert len(one.weights) == len(other.weights)
    for a, b in [*zip(one.weights, other.weights, strict=True), (one.extra, other.extra)]:
        assert set(a) == set(b)
        for name in a:
            assert a[name].dtype == b[name].dtype
            assert a[name].shape == b[name].shape
            assert a[name].tobytes() == b[name].tobytes()


def refused(call: Callable[[], object]) -> ModelFileError:
    with pytest.raises(ModelFileError) as info:
        call()
    return info.value


@pytest.mark.parametrize("name", stacks())
def test_every_layer_comes_back(name: str, tmp_path: Path) -> None:
    parts, shape = stacks()[name]
    before = bundle(parts, shape)
    save(tmp_path / "a", before)
    after = load(tmp_path / "a")
    same(before, after)
    save(tmp_path / "b", after)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_stacks_meet_the_whole_catalogue() -> None:
    known = {type(part) for parts, _ in stacks().values() for part in parts}
    known |= {type(part.cell) for parts, _ in stacks().values() for part in parts if type(part).__name__ == "Recurrent"}
    assert known >= {*MAPS.values(), *CELLS.values(), *SCANS.values()}


def test_every_option_has_a_type_that_files_can_hold() -> None:
    parts = {"Cell", "Recurrent", "Recurrent | None", "Map"}
    for cls in [*MAPS.values(), *CELLS.values(), *SCANS.values()]:
        assert {str(f.type) for f in fields(cls)} <= set(_TYPES) | parts


def test_loaded_model_computes_the_same(tmp_path: Path) -> None:
    before = small()
    save(tmp_path / "m", before)
    after = load(tmp_path / "m")
    x = np.random.default_rng(1).normal(size=(3, 7, 2)).astype(np.float32)
    one, other = (Machine(b.parts, b.weights).run(x)[0] for b in (before, after))
    assert one.tobytes() == other.tobytes()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9_]{1,9}(/[A-Za-z0-9_]{1,9}){0,2}", fullmatch=True),
        st.tuples(
            st.sampled_from([np.float64, np.float32, np.int64, np.uint8]),
            st.lists(st.integers(0, 4), max_size=4),
            st.sampled_from("CF<>"),
        ),
        max_size=6,
    ),
    options=st.dictionaries(
        st.from_regex(r"\w{1,20}", fullmatch=True),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
            st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        ),
        max_size=5,
    ),
)
def test_save_load_save_is_byte_identical(arrays: dict, options: dict, tmp_path: Path) -> None:
    extra = {}
    for name, (dtype, shape, layout) in arrays.items():
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        extra[name] = array.copy(layout) if layout in "CF" else array.astype(array.dtype.newbyteorder(layout))
    before = small()
    before = replace(before, extra=extra, manifest=msgspec.structs.replace(before.manifest, options=options))
    save(tmp_path / "a", before)
    after = load(tmp_path / "a")
    assert after.manifest.options == options
    for name, array in extra.items():
        np.testing.assert_array_equal(after.extra[name], array)
        assert after.extra[name].flags.aligned
        assert after.extra[name].dtype.isnative
    save(tmp_path / "b", after)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_order_of_dictionaries_does_not_change_the_bytes(tmp_path: Path) -> None:
    one = small()
    other = replace(
        one,
        weights=[dict(reversed(w.items())) for w in one.weights],
        extra=dict(reversed(one.extra.items())),
    )
    save(tmp_path / "a", one)
    save(tmp_path / "b", other)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_equal_layers_give_equal_bytes(tmp_path: Path) -> None:
    for name, rate in (("a", 0), ("b", 0.0)):
        save(tmp_path / name, bundle([MAPS["dropout"](rate)], (2,)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_safetensors_package_reads_the_same(tmp_path: Path) -> None:
    before = small()
    save(tmp_path / "m.safetensors", before)
    theirs = safetensors.numpy.load_file(tmp_path / "m.safetensors")
    ours = {f"layers/{i}/{k}": v for i, w in enumerate(before.weights) for k, v in w.items()}
    ours |= {f"task/{k}": v for k, v in before.extra.items()}
    assert set(theirs) == set(ours)
    for name, array in ours.items():
        assert theirs[name].dtype == array.dtype
        assert theirs[name].shape == array.shape
        assert theirs[name].tobytes() == array.tobytes()
    with safetensors.safe_open(tmp_path / "m.safetensors", "numpy") as file:
        assert set(file.metadata()) == {"ostinato", "header_sha256"}


def test_saving_over_the_loaded_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save(path, small())
    before = path.read_bytes()
    loaded = load(path)
    save(path, loaded)
    assert path.read_bytes() == before
    loaded.weights[2]["W"][:] = 0.0
    save(path, loaded)
    assert not load(path).weights[2]["W"].any()
    assert os.listdir(tmp_path) == ["m"]


def test_several_networks_in_one_file(tmp_path: Path) -> None:
    one, other = small(), bundle(list(small().parts), (None, 2), seed=1)
    joined = replace(
        one, weights=stacked([one.weights, other.weights]), manifest=msgspec.structs.replace(one.manifest, members=2)
    )
    save(tmp_path / "m", joined)
    same(joined, load(tmp_path / "m"))
    for member, before in zip(unstacked(load(tmp_path / "m").weights, 2), (one, other), strict=True):
        same(before, replace(before, weights=member))
    wrong = msgspec.structs.replace(one.manifest, members=3)
    assert refused(lambda: save(tmp_path / "m", replace(joined, manifest=wrong))).code == "tensors"


def test_pin(tmp_path: Path) -> None:
    import hashlib

    save(tmp_path / "m", small())
    digest = hashlib.sha256((tmp_path / "m").read_bytes()).hexdigest()
    load(tmp_path / "m", sha256=digest)
    load(tmp_path / "m", sha256=digest.upper())
    assert refused(lambda: load(tmp_path / "m", sha256="0" * 64)).code == "pin"
    with pytest.raises(ArgumentError):
        load(tmp_path / "m", sha256="abc")


def test_task_tensors_are_those_that_the_task_allows(tmp_path: Path) -> None:
    save(tmp_path / "m", small())
    ranks = {"mean": 1, "lags": 1, "scale": 0, "vocabulary": 1, "nothing": 2, "optional": 1}
    same(small(), load(tmp_path / "m", task_tensors=ranks))
    assert refused(lambda: load(tmp_path / "m", task_tensors=ranks | {"mean": 2})).code == "task_tensor"
    assert refused(lambda: load(tmp_path / "m", task_tensors={})).code == "task_tensor"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["weights", "extra"])
def test_nonfinite_numbers_need_a_word(value: float, where: str, tmp_path: Path) -> None:
    bad = small()
    (bad.weights[2]["b"] if where == "weights" else bad.extra["mean"])[1] = value
    assert refused(lambda: save(tmp_path / "m", bad)).code == "nonfinite"
    assert os.listdir(tmp_path) == []
    save(tmp_path / "m", bad, allow_nonfinite=True)
    error = refused(lambda: load(tmp_path / "m"))
    assert error.code == "nonfinite"
    assert error.where == ("'m'", "'layers/2/b'" if where == "weights" else "'task/mean'")
    same(bad, load(tmp_path / "m", allow_nonfinite=True))


def _changed(**changes: object) -> Bundle:
    b = small()
    return replace(b, manifest=msgspec.structs.replace(b.manifest, **changes))


BAD_BUNDLES = {
    "float64_weight": (lambda: _weight(lambda a: a.astype(np.float64)), "dtype"),
    "int_weight": (lambda: _weight(lambda a: a.astype(np.int64)), "dtype"),
    "masked_weight": (lambda: _weight(np.ma.array), "dtype"),
    "list_weight": (lambda: _weight(lambda a: a.tolist()), "dtype"),
    "wrong_shape": (lambda: _weight(lambda a: a[:-1]), "tensors"),
    "transposed": (lambda: _weight(lambda a: a.T), "tensors"),
    "object_extra": (lambda: replace(small(), extra={"a": np.array([None])}), "dtype"),
    "complex_extra": (lambda: replace(small(), extra={"a": np.array([1j])}), "dtype"),
    "text_extra": (lambda: replace(small(), extra={"a": np.array(["x"])}), "dtype"),
    "five_axes": (lambda: replace(small(), extra={"a": np.zeros((1, 1, 1, 1, 1))}), "shape"),
    "bad_name": (lambda: replace(small(), extra={"../a": np.zeros(1)}), "task_tensor"),
    "empty_name": (lambda: replace(small(), extra={"": np.zeros(1)}), "task_tensor"),
    "missing_weight": (lambda: replace(small(), weights=[*small().weights[:2], {}]), "tensors"),
    "too_many_weights": (lambda: replace(small(), weights=[*small().weights, {}]), "bundle"),
    "other_parts": (lambda: replace(small(), parts=small().parts[::-1]), "bundle"),
    "other_input": (lambda: _changed(input_shape=[None, 3]), "tensors"),
    "no_sequence": (lambda: _changed(input_shape=[3]), "layers"),
    "nan_option": (lambda: _changed(options={"a": float("nan")}), "manifest"),
    "tuple_option": (lambda: _changed(options={"a": (1, 2)}), "manifest"),
    "object_option": (lambda: _changed(options={"a": object()}), "manifest"),
    "nested_option": (lambda: _changed(options={"a": [[1]]}), "manifest"),
    "huge_option": (lambda: _changed(options={"a": 2**64}), "manifest"),
    "surrogate_option": (lambda: _changed(options={"a": "\ud800"}), "manifest"),
    "large_option": (lambda: _changed(options={"a": "x" * 300_000}), "manifest_size"),
    "larger_option": (lambda: _changed(options={"a": "x" * 1_100_000}), "header_length"),
    "task_name": (lambda: _changed(task="../x"), "manifest"),
}


def _weight(change: Callable[[np.ndarray], object]) -> Bundle:
    b = small()
    b.weights[2]["W"] = change(b.weights[2]["W"])  # type: ignore[assignment]
    return b


@pytest.mark.parametrize("name", BAD_BUNDLES)
def test_what_could_not_be_loaded_is_not_saved(name: str, tmp_path: Path) -> None:
    make, code = BAD_BUNDLES[name]
    assert refused(lambda: save(tmp_path / "m", make())).code == code
    assert os.listdir(tmp_path) == []


def test_a_layer_of_ones_own_is_not_saved(tmp_path: Path) -> None:
    class Mine(MAPS["dense"]):  # type: ignore[misc]
        pass

    with pytest.raises(ModelFileError) as info:
        bundle([Mine(2)], (None, 2))
    assert info.value.code == "custom_layer"


# --- all or nothing ---------------------------------------------------------------------------------------------------


def _failing(name: str, nth: int, number: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make the nth call of os.<name> fail; returns a list that holds one entry a call."""
    real, calls = getattr(os, name), []

    def shim(*args: object, **kwargs: object) -> object:
        calls.append(1)
        if len(calls) == nth:
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    monkeypatch.setattr(atomic.os, name, shim)
    return calls


def _error(call: Callable[[], object]) -> ModelFileError | None:
    try:
        call()
    except ModelFileError as error:
        return error
    return None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace", "close", "chmod", "stat"])
def test_any_failing_call_leaves_the_old_file(
    name: str, exists: bool, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    if exists:
        save(path, bundle([MAPS["dense"](1)], (2,)))
    before = path.read_bytes() if exists else None
    nth, failed = 1, 0
    while True:
        with monkeypatch.context() as patch:
            calls = _failing(name, nth, number, patch)
            error = _error(lambda: save(path, small()))
            done = len(calls) < nth
        if done:
            break
        assert error is not None
        assert (error.code, error.got) == ("write", os.strerror(number))
        failed += 1
        assert (path.read_bytes() if path.exists() else None) == before
        assert os.listdir(tmp_path) == (["m"] if exists else [])
        nth += 1
    assert error is None
    assert failed > 0 or (name == "chmod" and not exists)
    same(load(path), small())


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(atomic.os, "write", lambda fd, view: real(fd, view[:100]))
    save(tmp_path / "m", small())
    same(load(tmp_path / "m"), small())


def test_an_interrupt_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "m", small())
    before = (tmp_path / "m").read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "m", bundle([], (1,)))
    assert (tmp_path / "m").read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]


def test_without_hard_links_saving_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "m", bundle([], (1,)))
    _failing("link", 1, errno.EPERM, monkeypatch)
    save(tmp_path / "m", small())
    same(load(tmp_path / "m"), small())
    assert os.listdir(tmp_path) == ["m"]


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing("fsync", 2, errno.EINVAL, monkeypatch)
    save(tmp_path / "m", small())
    same(load(tmp_path / "m"), small())


@pytest.mark.parametrize("name", ["missing/m", ".", "pipe"])
def test_where_no_file_can_be(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    error = refused(lambda: save(tmp_path / name, small()))
    assert error.code == "write"
    assert os.listdir(tmp_path) == ["pipe"]


@pytest.mark.parametrize("call", [load, lambda path: save(path, small())])
@pytest.mark.parametrize("path", ["a\0b", "\udfff" * 3 + "\ud800", 3, None, b"abc"])
def test_what_is_no_path(call: Callable[[object], object], path: object) -> None:
    with pytest.raises(ArgumentError):
        call(path)


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    real, link = tmp_path / "store" / "real", tmp_path / "link"
    save(real, bundle([], (1,)))
    real.chmod(0o640)
    link.symlink_to(real)
    save(link, small())
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    same(load(link), small())
    same(load(real), small())


def test_odd_names(tmp_path: Path) -> None:
    for name in ("ä b\n.safetensors", "x" * 255, "-rf"):
        save(tmp_path / name, small())
        same(load(tmp_path / name), small())
    assert refused(lambda: save(tmp_path / ("x" * 256), small())).code == "write"
    assert refused(lambda: load(tmp_path / ("x" * 256))).code == "read"


def test_errors_can_be_sent_between_processes(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"PK\x03\x04")
    error = refused(lambda: load(tmp_path / "m"))
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.code) == (type(error), str(error), error.code)


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "model-file.md").read_text("utf-8")
    dump = page.rpartition("bytes):\n\n```\n")[2].partition("```")[0]
    raw = bytes.fromhex("".join(line[10:] for line in dump.splitlines()))
    (tmp_path / "a").write_bytes(raw)
    loaded = load(tmp_path / "a")
    assert loaded.extra["mean"].tolist() == [100.0]
    assert Machine(loaded.parts, loaded.weights).run(np.ones((1, 2), np.float32))[0].tolist() == [[-1.25]]
    save(tmp_path / "b", loaded)
    assert (tmp_path / "b").read_bytes() == raw
