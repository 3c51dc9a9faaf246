"""Model files of every release so far still give the answers that they gave when they were written."""

from __future__ import annotations

import json

import pytest
from tests.golden.models.answers import CLOSE, FOLDER, RELEASES, answers, continued, differences

from ostinato._folder import catalogue
from ostinato.cells import CELLS
from ostinato.data import VOCABULARIES
from ostinato.errors import ArgumentError
from ostinato.maps import MAPS
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime import Generator, bundle, load
from ostinato.scans import SCANS
from ostinato.scans.recurrent import Recurrent
from ostinato.tasks.base import Task
from ostinato.version import __version__

KEPT = {
    f"{release.name}/{name}": (release / f"{name}.safetensors", kept)
    for release in RELEASES
    for name, kept in json.loads((release / "answers.json").read_text("utf-8")).items()
}


@pytest.mark.parametrize("name", KEPT)
def test_the_same_answers(name: str) -> None:
    path, kept = KEPT[name]
    assert not differences(answers(load(path), kept["question"]), kept["answers"])


@pytest.mark.parametrize("name", [name for name, (_, kept) in KEPT.items() if "snapshot" in kept])
def test_streams_go_on(name: str) -> None:
    path, kept = KEPT[name]
    found = continued(load(path), bytes.fromhex(kept["snapshot"]))
    assert not differences(found, kept["continued"])
    assert differences(continued(load(path), None), kept["continued"])


def test_every_model_that_streams_kept_a_snapshot() -> None:
    for path, kept in KEPT.values():
        model = load(path)
        if "snapshot" in kept:
            model.stream(bytes.fromhex(kept["snapshot"]))
        else:
            with pytest.raises(ArgumentError):
                model.stream()


def test_every_file_is_asked() -> None:
    assert {path for path, _ in KEPT.values()} == {*FOLDER.glob("*/*.safetensors")}


def test_this_release_kept_every_task_and_layer() -> None:
    """What fails here is new: add it to `make_models.py`; until the release is out, make its folder again."""
    paths = [path for path, _ in KEPT.values() if path.parent.name == __version__]
    opened = [bundle.load(path) for path in paths]
    assert {one.manifest.task for one in opened} == {"sequential", *catalogue("ostinato.tasks", Task)}
    parts = [part for one in opened for part in one.parts]
    met = {type(part) for part in parts} | {type(part.cell) for part in parts if isinstance(part, Recurrent)}
    assert met == {*MAPS.values(), *CELLS.values(), *SCANS.values()}
    assert TimeDistributed in met
    found = [load(path) for path, one in zip(paths, opened, strict=True) if one.manifest.task == "generate"]
    assert {type(one.vocabulary) for one in found if isinstance(one, Generator)} == {*VOCABULARIES.values()}


def test_a_difference_is_seen() -> None:
    kept = {"x": [[1.0, -2.0], [3.0, 4.0]], "text": "abc", "names": ["a"]}
    assert not differences(kept, kept)
    assert not differences({**kept, "x": [[1.0, -2.0], [3.0, 4.0 + 2 * CLOSE]]}, kept)
    for other in (
        {"x": [[1.0, -2.0], [3.0, 4.0 + 8 * CLOSE]]},
        {"text": "abd"},
        {"names": ["b"]},
        {"x": [[1.0, -2.0]]},
    ):
        assert differences({**kept, **other}, kept) == list(other)
    assert differences({"x": kept["x"]}, kept)
    assert differences({**kept, "x": [[float("nan"), -2.0], [3.0, 4.0]]}, kept)
