"""Every hostile file is refused, with its own code, quickly, in little memory, and with a short printable message."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from tests.attacks.build import forecast, generate, model
from tests.attacks.make_attacks import ATTACKS, SNAPSHOTS
from tests.attacks.snapshot_attacks import KIND, MODEL, snapshot

import ostinato
from ostinato import errors, runtime
from ostinato.runtime import bundle
from ostinato.runtime.bundle import load
from ostinato.runtime.snapshot import unpack

SOURCE = Path(ostinato.__file__).parent
CLASSES = {
    "unsupported_format": errors.UnsupportedFormat,
    "newer_format": errors.NewerFormat,
    "unknown_layer": errors.UnknownLayer,
}


def test_the_files_that_attacks_start_from_are_valid(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(model())
    assert load(tmp_path / "m").weights[0]["b"].tolist() == [6.0, 7.0, 8.0]
    (tmp_path / "m").write_bytes(forecast())
    assert len(runtime.load(tmp_path / "m").predict()) == 4
    (tmp_path / "m").write_bytes(generate())
    assert len(runtime.load(tmp_path / "m").generate("a", length=5)) == 6
    facts, (array,) = unpack(snapshot(), MODEL, KIND)
    assert facts == {"steps": 3}
    assert array.tolist() == [0.5, -0.5]


def test_there_are_many() -> None:
    assert len(ATTACKS) >= 300
    assert len(SNAPSHOTS) >= 40


@pytest.mark.parametrize("name", ATTACKS)
def test_refused(name: str, tmp_path: Path) -> None:
    code, raw = ATTACKS[name]()
    path = tmp_path / "m"
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with pytest.raises(errors.ModelFileError) as info:
            (runtime.load if code == "nonfinite" else read)(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    error = info.value
    assert error.code == code
    assert type(error) is CLASSES.get(code, errors.ModelFileError)
    check_message(error)
    assert error.where[:1] == ("'m'",)
    assert peak <= 2 * len(raw) + 16_000_000


def read(path: Path) -> None:
    """As `ostinato.runtime.load`, but numbers that are not finite hide no fault of the file itself."""
    load(path, allow_nonfinite=True)
    runtime.load(path)


def check_message(error: errors.OstinatoError) -> None:
    """Short, on one line, printable; no address and no path; every question is answered."""
    text = str(error)
    assert len(text) < 1200
    assert text.replace("…", "").replace("·", "").isprintable()
    assert not re.search(r"0x[0-9a-f]{8,}|Traceback|File \"|\.py\b|site-packages|/home/|/root/|object at", text)
    assert error.rule
    assert error.got
    assert error.fix.endswith(".")


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_snapshot_is_refused(name: str) -> None:
    code, raw = SNAPSHOTS[name]()
    tracemalloc.start()
    try:
        with pytest.raises(errors.SnapshotError) as info:
            unpack(raw, MODEL, KIND)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert info.value.code == code
    check_message(info.value)
    assert peak <= 2 * len(raw) + 16_000_000


def test_every_code_is_documented() -> None:
    table = bundle.__doc__ or ""
    page = (Path(__file__).parents[2] / "docs" / "model-file.md").read_text("utf-8")
    for code in {make()[0] for make in ATTACKS.values()}:
        assert code in table
        assert f"`{code}`" in page
    for code in {make()[0] for make in SNAPSHOTS.values()}:
        assert code in (errors.SnapshotError.__doc__ or "")


def test_the_page_tells_of_these_files() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
    assert f"{len(ATTACKS)} model files and {len(SNAPSHOTS)} snapshots" in page
    lessons = page.partition("## Lessons")[2].partition("\n`python")[0]
    rows = [re.findall(r"`(\w+)`", line) for line in lessons.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 8
    for names in rows:
        assert names
        assert set(names) <= set(ATTACKS), set(names) - set(ATTACKS)


def test_newer_format_names_the_version_it_needs(tmp_path: Path) -> None:
    for name, text in (("format_2", "ostinato >= 1.4.0"), ("newer_with_hostile_version", "of a later version")):
        (tmp_path / "m").write_bytes(ATTACKS[name]()[1])
        with pytest.raises(errors.NewerFormat, match=text) as info:
            load(tmp_path / "m")
        assert "rm -rf" not in str(info.value)


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("keras_zip", "Keras|keras"),
        ("torch_zip", "torch"),
        ("torch_legacy", "torch"),
        ("npz", "npz"),
        ("npy", "npy"),
        ("zip_traversal", "zip"),
        ("empty_zip", "zip"),
        ("hdf5_external_link", "HDF5"),
        ("pickle_2", "pickle"),
        ("pickle_5", "pickle"),
        ("gzip_without_time", "gzip"),
        ("onnx_external_data", "ONNX"),
        ("plain_safetensors", "plain safetensors"),
        ("safetensors_of_others", "plain safetensors"),
        ("empty", "empty"),
        ("json_text", "JSON"),
        ("html_page", "HTML"),
        ("python_source", "text"),
        ("lfs_pointer", "LFS"),
    ],
)
def test_a_foreign_file_is_named(name: str, looks: str, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(ATTACKS[name]()[1])
    with pytest.raises(errors.UnsupportedFormat, match=looks):
        load(tmp_path / "m")


def test_the_script_writes_the_same_files_each_time(tmp_path: Path) -> None:
    script = [sys.executable, "-m", "tests.attacks.make_attacks", str(tmp_path)]
    subprocess.run(script, check=True, cwd=Path(__file__).parents[2])
    assert len(list(tmp_path.iterdir())) == len(ATTACKS) + len(SNAPSHOTS)
    for kind, attacks in (("safetensors", ATTACKS), ("stream", SNAPSHOTS)):
        for name, make in attacks.items():
            code, raw = make()
            assert (tmp_path / f"{name}.{code}.{kind}").read_bytes() == raw


FORBIDDEN = {"pickle", "marshal", "eval", "exec", "importlib", "__import__", "shelve", "dill", "joblib"}


def _names(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {part for alias in node.names for part in alias.name.split(".")}
    return found


def test_nothing_in_the_runtime_can_run_code() -> None:
    files = sorted((SOURCE / "runtime").rglob("*.py"))
    assert len(files) > 5
    for file in files:
        assert not _names(ast.parse(file.read_text("utf-8"))) & FORBIDDEN, file


def test_torch_load_is_absent() -> None:
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "load":
                assert not (isinstance(node.value, ast.Name) and node.value.id == "torch"), file
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "torch":
                assert "load" not in {alias.name for alias in node.names}, file
