"""A model file of a forecast whose settings do not fit is refused when it is read, not when it is used."""

import subprocess
import sys
from dataclasses import fields, replace

import msgspec
import numpy as np
import pytest
from tests.unit.tasks.tiny import Windows, quick, table

from ostinato import Forecast
from ostinato.errors import ModelFileError
from ostinato.maps import MAPS
from ostinato.runtime import bundle as files
from ostinato.runtime import load
from ostinato.runtime.forecaster_file import Fitted
from ostinato.tasks.training import OF_THE_RUN, Training


@pytest.fixture(scope="module")
def bundle():
    model = quick(units=(4, 3), training=Training(epochs=1, members=2), windows=Windows(log="yes", anchor="season"))
    return model.fit(table()).to_bundle()


def changed(bundle, *, options=None, extra=None, **manifest):
    options = {**bundle.manifest.options, **(options or {})}
    made = msgspec.structs.replace(bundle.manifest, options=options, **manifest)
    return replace(bundle, manifest=made, extra={**bundle.extra, **(extra or {})})


def refused(bundle, path):
    files.save(path, bundle)
    for read in (load, Forecast.load):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert caught.value.code in ("task", "task_tensor")
        assert caught.value.rule
        assert caught.value.got
        assert caught.value.fix


BAD = {
    "horizon": (0, -1, 4, 2**31, 2**40, 3.5, "3", None, True),
    "length": (0, -5, 15, 2**40, None),
    "season": (0, -7, 6, 2**40, 1.5),
    "log": (None, 1, "yes"),
    "anchor": ("last", "mean", "x", "", 3),
    "level": ([95.0], [95.0, 80.0, 50.0], [80.0, 95.0], [95.0, 95.0], [100.0, 80.0], [95.0, 0.0], [95.0, -1.0], [],
              [95.0, 94.99999999], 95.0, "95", ["a", "b"]),
    "label": ("GRU", "", "y", "ds", "<script>", 3),
    "freq": ("", "x", "0D", "-1D", "1", "99999999999999999999D", "9" * 5000, 3, None),
    "timed": (False, 1, "yes"),
    "id": ("ds", "y", "cutoff", "LSTM", 3),
    "time": ("unique_id", "y", "cutoff", "LSTM-lo-80", 3),
    "target": ("ds", 3),
    "time_format": (3, True),
    "missing": ("x", "", None), "duplicates": ("x", None), "gaps": ("x", None),
    "delimiter": ("", "ab", ".", 3), "decimal": ("", ";", None),
    "training_epochs": (0, -1, 1.5, "1", None, 2**40), "training_batch_size": (0, None),
    "training_learning_rate": (-1.0, "x", None), "training_weight_decay": (-0.1,), "training_clip_norm": (-1, None),
    "training_patience": (0,), "training_members": (-1, 1025), "training_seed": (-1, 2**32, 0.5),
    "windows_length": (-1,), "windows_season": (-1, "x"), "windows_test": (-2, None), "windows_step": (-1,),
    "windows_log": ("x", True), "windows_anchor": ("x", None),
    "training_foo": (1,), "foo": (1,),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_options_out_of_range(bundle, name, tmp_path):
    assert name in bundle.manifest.options or name.endswith("foo")
    if name == "anchor":
        assert bundle.manifest.options["anchor"] == "season"
    for i, value in enumerate(BAD[name]):
        refused(changed(bundle, options={name: value}), tmp_path / str(i))


def test_every_option_was_tried(bundle):
    assert set(bundle.manifest.options) <= set(BAD)


def test_an_option_that_is_absent(bundle, tmp_path):
    for name in bundle.manifest.options:
        options = {k: v for k, v in bundle.manifest.options.items() if k != name}
        made = msgspec.structs.replace(bundle.manifest, options=options)
        refused(replace(bundle, manifest=made), tmp_path / name)


def test_the_options_of_the_file_are_those_of_the_task():
    names = {f"{group}_{f.name}" for group, cls in (("training", Training), ("windows", Windows)) for f in fields(cls)}
    found = {f.name for f in msgspec.structs.fields(Fitted)}
    names -= {f"training_{name}" for name in OF_THE_RUN}
    assert {name for name in found if name.startswith(("training_", "windows_"))} == names


def names(*ids):
    return np.frombuffer(msgspec.json.encode(list(ids)), np.uint8)


def bad_tensors(extra):
    tails, last = extra["tails"], extra["last"]
    low = np.iinfo(np.int64).min
    return {
        "ids": (names(), names("a"), names("a", "a"), names("a", "b", "c"), names(1, 2), names("a", "b")[:-1],
                np.frombuffer(b"\xff\xfe", np.uint8), np.zeros((2, 2), np.uint8), np.zeros(3, np.int64)),
        "last": (last[:1], last.astype(np.float64), np.full(2, low), np.full(2, low + 1), np.full(2, 2**62),
                 last[:, None], np.array([last[0], 2**63 - 1])),
        "spreads": (np.zeros(2), np.array([1.0, -1.0]), np.ones(3), np.ones(2, np.float32), np.ones((2, 1))),
        "tails": (tails[:, 1:], tails[:1], tails.astype(np.float32), -tails, tails * 0.0, tails[0]),
        "widening": (np.zeros(1), np.zeros(3), np.zeros(2, np.float32), np.zeros(2, np.int64)),
        "more": (np.zeros(1),),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["ids", "last", "spreads", "tails", "widening", "more"])
def test_tensors_that_do_not_fit(bundle, name, tmp_path):
    for i, value in enumerate(bad_tensors(bundle.extra)[name]):
        refused(changed(bundle, extra={name: value}), tmp_path / str(i))
    if name != "more":
        refused(replace(bundle, extra={k: v for k, v in bundle.extra.items() if k != name}), tmp_path / "none")


def test_other_tasks_and_networks(bundle, tmp_path):
    files.save(tmp_path / "s", changed(bundle, task="sequential", options={}))
    with pytest.raises(ModelFileError, match="must be of task forecast"):
        Forecast.load(tmp_path / "s")
    files.save(tmp_path / "u", changed(bundle, task="dream"))
    with pytest.raises(ModelFileError, match="dream"):
        load(tmp_path / "u")
    for parts in ((), (MAPS["flatten"](), MAPS["dense"](15))):
        from tests.unit.runtime.bundle_samples import bundle as random

        made = random(list(parts), (14, 1))
        manifest = msgspec.structs.replace(made.manifest, task="forecast", options=bundle.manifest.options)
        refused(replace(made, manifest=manifest, extra=bundle.extra), tmp_path / "n")


def test_the_file_itself_is_fine(bundle, tmp_path):
    files.save(tmp_path / "m", bundle)
    assert len(load(tmp_path / "m").predict()) == 6


QUIET = """
import sys
from ostinato.runtime import load
seen, modules = [], set(sys.modules)
def hook(event, arguments):
    if event in ("import", "exec", "compile") or event.startswith(("subprocess", "socket", "os.")) or event == "open":
        seen.append((event, *map(str, arguments[:2])))
sys.addaudithook(hook)
load(sys.argv[1])
assert {(event[0], event[2]) for event in seen} <= {("open", "None"), ("open", "r"), ("open", "rb")}, seen
assert seen
assert set(sys.modules) == modules
"""


def test_loading_a_forecast_only_opens_its_file(bundle, tmp_path):
    files.save(tmp_path / "m", bundle)
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path / "m")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
