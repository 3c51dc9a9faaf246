"""What holds for every task: found by their files, so that a new one is under these laws as soon as it exists.

Of scikit-learn's own checks those run that do not feed an array `X [samples, features]`, which no task takes: the
constructor's, and those of `get_params`, `set_params` and `clone`. The others (`check_fit2d_1sample`,
`check_estimators_nan_inf`, `check_n_features_in`, …) fit on such arrays. `check_parameters_default_constructible`
allows only plain values as defaults, where a task has frozen option objects. `check_estimator_repr` and the checks of
tags need scikit-learn's base class, which ostinato does not import.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.base import clone
from sklearn.utils import estimator_checks

import ostinato
from ostinato._folder import catalogue
from ostinato.cli.main import group
from ostinato.cli.options import _owners, task_options
from ostinato.errors import ArgumentError, NotFittedError, OstinatoError
from ostinato.runtime import load
from ostinato.tasks.base import Task
from ostinato.tasks.training import Training

TASKS = catalogue("ostinato.tasks", Task)
ROOT = Path(ostinato.__file__).parents[2]
TINY = {"training": Training(epochs=1, members=1)}
each = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
every = pytest.mark.parametrize("name", TASKS)


class Odd:
    """Not a value that any option takes."""


def options(task):
    return list(inspect.signature(task).parameters)


@pytest.fixture(scope="module")
def fitted():
    made = {}

    def fit(task):
        if task not in made:
            made[task] = task(**TINY).fit(task.sample())
        return made[task]

    return fit


def test_there_are_tasks():
    assert "forecast" in TASKS
    assert all(task.__name__.lower() == name.replace("_", "") for name, task in TASKS.items())
    assert all(getattr(ostinato, task.__name__) is task for task in TASKS.values())


@each
def test_at_most_eight_arguments_each_documented(task):
    owners = [task, *(type(f.default) for f in fields(task) if is_dataclass(f.default))]
    for owner in owners:
        assert options(owner)
        assert all(len(inspect.get_annotations(base)) <= 8 for base in owner.__mro__)
        text = inspect.getdoc(owner) or ""
        assert all(re.search(rf"^    {name}: \S", text, re.MULTILINE) for name in options(owner))
        assert all(p.default is not p.empty for p in inspect.signature(owner).parameters.values())


@each
def test_the_constructor_only_stores(task):
    given = {name: Odd() for name in options(task)}
    made = task(**given)
    assert vars(made) == given
    assert all(getattr(made, name) is value for name, value in given.items())
    with pytest.raises(OstinatoError):
        made.fit(task.sample())
    for name in given:
        with pytest.raises(ArgumentError, match=name):
            task(**{name: Odd()}).fit(task.sample())


@each
def test_params_go_round(task):
    made = task()
    params = made.get_params()
    assert set(made.get_params(deep=False)) == set(options(task)) <= set(params)
    assert task().set_params(**params).get_params() == params
    assert made.set_params(training__seed=7) is made
    assert made.training.seed == made.get_params()["training__seed"] == 7
    assert task().training.seed == 0, "options are shared between tasks"
    copy = clone(made)
    assert copy is not made
    assert type(copy) is task
    assert copy.get_params() == made.get_params()
    changed = task().set_params(training=Training(epochs=3), training__seed=4)
    assert (changed.training.epochs, changed.training.seed) == (3, 4)


@each
@pytest.mark.parametrize("name", ["foo", "training__foo", "foo__seed", "horizon__x", "training_", "__", "fit_", ""])
def test_unknown_params_are_refused(task, name):
    with pytest.raises(ArgumentError):
        task().set_params(**{name: 1})


@each
@pytest.mark.parametrize(
    "check",
    [
        "check_no_attributes_set_in_init",
        "check_get_params_invariance",
        "check_set_params",
        "check_estimator_cloneable",
    ],
)
def test_checks_of_scikit_learn(task, check):
    getattr(estimator_checks, check)(task.__name__, task())


@each
def test_clone_of_a_fitted_task_is_unfitted(task, fitted):
    copy = clone(fitted(task))
    assert set(vars(copy)) == set(options(task))
    with pytest.raises(NotFittedError):
        copy.predict()


@each
def test_fit_changes_no_option_and_returns_the_task(task, fitted):
    made = task(**TINY)
    before = dict(vars(made))
    assert made.fit(task.sample()) is made
    after = vars(made)
    assert all(after[name] is value for name, value in before.items())
    assert after.keys() - before.keys()
    assert all(name.endswith("_") for name in after.keys() - before.keys())


@each
def test_unfitted_use(task, tmp_path):
    made = task()
    for use in (
        made.predict, lambda: made.score(task.sample()), made.report, made.summary, made.explain_choices,
        made.to_bundle, lambda: made.save(tmp_path / "m"),
    ):  # fmt: skip
        with pytest.raises(NotFittedError):
            use()
    assert not list(tmp_path.iterdir())


def columns(result):
    return {name: np.asarray(result[name]) for name in (result.columns if hasattr(result, "columns") else result)}


@each
def test_sample_is_learned_saved_loaded_and_reported(task, fitted, tmp_path):
    made = fitted(task)
    want = columns(made.predict(task.sample()))
    assert all(np.isfinite(v).all() for v in want.values() if v.dtype.kind == "f")
    made.save(tmp_path / "m")
    for model in (task.load(tmp_path / "m"), load(tmp_path / "m")):
        found = columns(model.predict(task.sample()))
        assert found.keys() == want.keys()
        assert all((found[name] == want[name]).all() for name in want)
    html = made.report()
    assert html.lower().startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")
    assert "http://" not in re.sub(r'"http://www\.w3\.org[^"]*"', "", html)
    assert "<script src" not in html
    assert made.summary()
    assert made.explain_choices()
    assert isinstance(made.score(), float)


@each
def test_the_same_seed_gives_the_same_bytes(task, tmp_path):
    for name in ("a", "b"):
        task(**TINY).fit(task.sample()).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@every
def test_every_field_is_an_option_of_the_command_line(name):
    task = TASKS[name]
    found = task_options(task)
    nested = [type(f.default) for f in fields(task) if is_dataclass(f.default)]
    own = [f.name for f in fields(task) if not is_dataclass(f.default)]
    want = [*own, *(f.name for owner in nested for f in fields(owner))]
    assert [option.name for option in found] == want
    assert len(set(want) | {"data", "out", "report", "quiet", "find_learning_rate"}) == len(want) + 5, (
        "two options have one name"
    )
    for option in found:
        text, _, default = option.help.partition("  [default: ")
        assert re.fullmatch(r".{5,}\.", text), option.name
        plain = next(owner.defaults[option.name] for owner in _owners(task) if option.name in owner.defaults)
        assert bool(default) == (plain is not None), option.name
        assert "In Python" not in text, option.name
        assert not any(f"`{other.name}`" in text for other in found), option.name
    shown = CliRunner().invoke(group, ["fit", name, "--help"])
    assert shown.exit_code == 0
    assert all(f"--{option.replace('_', '-')}" in shown.output for option in want)
    assert all(f"\n{owner.heading}:\n" in shown.output for owner in _owners(task))
    assert task.example in shown.output


def test_every_verb_has_help_and_is_documented():
    files = {p.stem for p in (ROOT / "src/ostinato/cli").glob("*.py")} - {
        "__init__",
        "main",
        "options",
        "outputs",
        "task_command",
    }
    docs = "\n".join(p.read_text() for p in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    assert set(group.list_commands(None)) == files
    for verb in files:
        shown = CliRunner().invoke(group, [verb, "--help"])
        assert shown.exit_code == 0
        assert len(shown.output.splitlines()) > 4
        assert group.get_command(None, verb).get_short_help_str()
        assert f"`ostinato {verb}" in docs, verb
    for name in TASKS:
        assert f"ostinato fit {name}" in docs
