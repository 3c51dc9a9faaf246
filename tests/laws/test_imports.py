"""Who may import whom, what must not be imported at all, and how the source must look."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys

import pytest
from tests.laws.modules import INSIDE, LEVELS, MODULES, ROOT, TORCH_LINE, Module

each = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
HEAVY = ("torch", "polars", "pandas", "matplotlib", "sklearn", "keras", "tensorflow")
NEEDED = {"click", "msgspec", "narwhals", "numpy"}
"""What `pip install ostinato` brings."""
LATE = ("narwhals", "gzip", "lzma", "random", "tempfile")
"""What is loaded when it is needed: each takes a noticeable part of the memory or the start of a deployed model."""


def test_every_room_has_a_level():
    assert {m.room for m in MODULES.values() if m.room} <= set(LEVELS)


def test_no_room_has_a_name_that_says_nothing():
    empty = {"utils", "core", "common", "misc", "helpers", "legacy", "v2", "util", "tools"}
    assert not [name for name in MODULES if empty & {part.strip("_") for part in name.split(".")}]


@each
def test_imports_go_downwards(module: Module):
    for name in module.imports():
        other = MODULES.get(name)
        if other is None or other.room == module.room or not module.room:
            continue
        assert other.room, f"{module.name} imports the package itself"
        fine = other.level < module.level or (module.room, other.room) in INSIDE
        assert fine, f"{module.name} (level {module.level}) imports {name} (level {other.level})"


@each
def test_formulas_import_no_array_library(module: Module):
    if module.room in ("cells", "maps", "scans"):
        allowed = set(sys.stdlib_module_names) | {"ostinato"}
        assert {name.partition(".")[0] for name in module.imports()} <= allowed


@each
def test_imports_are_declared(module: Module):
    if module.room and module.level <= TORCH_LINE:
        found = {name.partition(".")[0] for name in module.imports(lazy=False)}
        assert found <= set(sys.stdlib_module_names) | {"ostinato"} | NEEDED


def test_serve_needs_no_more_than_the_runtime():
    for module in MODULES.values():
        if module.room == "serve":
            rooms = {MODULES[n].level for n in module.imports() if n in MODULES and MODULES[n].room != "serve"}
            assert max(rooms, default=0) <= LEVELS["runtime"]


def test_modules_do_not_import_each_other_in_circles():
    edges = {m.name: sorted(n for n in m.imports() if n in MODULES and n != m.name) for m in MODULES.values()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in edges[name]:
                visit(other, (*path, name))
            done.add(name)

    for name in edges:
        visit(name, ())


def _loaded(code: str) -> set[str]:
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted(sys.modules)))"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}  # it loads more
    words = [sys.executable, "-W", "error", "-c", script]
    run = subprocess.run(words, capture_output=True, text=True, check=False, env=bare)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_below_the_torch_line_nothing_heavy_is_loaded():
    below = [m.name for m in MODULES.values() if m.room and m.level <= TORCH_LINE]
    assert "ostinato.runtime.machine" in below
    loaded = _loaded("\n".join(f"import {name}" for name in below))
    assert set(below) <= loaded
    assert not {name for name in loaded if name.partition(".")[0] in HEAVY}


@pytest.mark.parametrize(
    "module", ["ostinato.runtime", "ostinato.cli.predict", "ostinato.cli.generate", "ostinato.cli.stream"]
)
def test_what_predicts_loads_no_more_than_it_needs(module: str):
    assert not _loaded(f"import {module}") & set(LATE)


def test_the_package_itself_loads_nothing_heavy():
    loaded = _loaded("import ostinato")
    assert not {name for name in loaded if name.partition(".")[0] in (*HEAVY, "numpy")}


def test_the_commands_load_nothing_heavy():
    if "ostinato.cli.main" in MODULES:
        loaded = _loaded("import ostinato.cli.main")
        assert not {name for name in loaded if name.partition(".")[0] in (*HEAVY, "narwhals", "numpy")}


_HELP = """
import click
from ostinato.cli.main import group
context = click.Context(group)
verbs = [[verb] for verb in group.list_commands(context)]
fit = group.get_command(context, "fit")
tasks = [["fit", task] for task in fit.list_commands(click.Context(fit))]
for words in [[], *verbs, *tasks]:
    group.main([*words, "--help"], standalone_mode=False)
    heavy = {name for name in sys.modules if name in HEAVY}
    assert not heavy, (words, heavy)
assert verbs and tasks
"""


def test_help_of_every_command_and_task_loads_nothing_heavy():
    _loaded(f"HEAVY = {HEAVY}{_HELP}")


def test_a_task_that_is_trained_without_torch_says_what_is_missing():
    loaded = _loaded(
        "sys.modules['torch'] = None\nfrom ostinato._folder import catalogue\nfrom ostinato.tasks.base import Task\n"
        "from ostinato.errors import MissingDependency\n"
        "tasks = catalogue('ostinato.tasks', Task).values()\nassert tasks\n"
        "for task in tasks:\n"
        "    for train in (task().fit, task().find_learning_rate):\n"
        "        try: train(task.sample())\n"
        "        except MissingDependency as error: assert 'ostinato[train]' in str(error)\n"
        "        else: raise AssertionError(task)"
    )
    assert "ostinato.tasks.learning.networks" not in loaded


@pytest.mark.parametrize(
    "words",
    ["fit forecast x.csv --horizon 0", "fit forecast x.csv --optimizer adamx", "fit forecast x.csv --precision half",
     "fit forecast x.csv --epochs many", "fit forecast x.csv", "fit forecast short.csv",
     "fit generate x.txt --memory keep", "fit generate x.txt", "fit nothing x.csv"],
)  # fmt: skip
def test_mistakes_are_answered_without_torch(words: str, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.csv").write_text("ds,y\n2020-01-01,1\n")
    loaded = _loaded(
        "import click\nfrom ostinato.cli.main import group\nfrom ostinato.errors import OstinatoError\n"
        f"try: group.main({words.split()}, standalone_mode=False)\n"
        "except (OstinatoError, click.ClickException): pass\nelse: raise AssertionError('no error')"
    )
    assert "torch" not in loaded


@each
def test_files_are_short(module: Module):
    lines = sum(1 for line in module.text.splitlines() if line.strip())
    assert lines <= 400, f"{lines} lines that are not blank"


def _public(tree: ast.Module):
    """Public classes and functions."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node


@each
def test_everything_public_is_documented(module: Module):
    assert ast.get_docstring(module.tree) or not module.text.strip(), "the module has no docstring"
    missing = [node.name for node in _public(module.tree) if not ast.get_docstring(node)]
    assert not missing, f"no docstring: {', '.join(missing)}"


@each
def test_forbidden_words(module: Module):
    for node in ast.walk(module.tree):
        where = f"{module.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("hasattr", "eval", "exec", "torch.load", "torch.save", "print"), f"{where}: {called}"
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            last = node.body[-1]
            again = isinstance(last, ast.Raise) and last.exc is None
            broad = caught == "" or (caught in ("Exception", "BaseException") and not again)
            assert not broad, f"{where}: except {caught} that does not end with raise"
    imported = {name.partition(".")[0] for name in module.imports()}
    assert not imported & {"pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}


def _arguments(node: ast.ClassDef) -> int:
    """Number of constructor arguments: of `__init__`, or the fields of a dataclass or NamedTuple."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            a = item.args
            return len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs) - 1
    data = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
    fields = [i for i in node.body if isinstance(i, ast.AnnAssign) and "ClassVar" not in ast.unparse(i.annotation)]
    return len(fields) if data else 0


def _exempt(module: Module) -> bool:
    """Classes whose argument names are fixed by other software: Keras' layers and callbacks, torch's modules."""
    return module.room == "nn" or module.path.name.startswith("keras_")


@each
def test_constructors_have_at_most_eight_arguments(module: Module):
    if _exempt(module):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            n = _arguments(node)
            assert n <= 8, f"{node.name} has {n} arguments"


@each
def test_constructors_of_tasks_only_store(module: Module):
    if module.room != "tasks":
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                for line in item.body:
                    stores = isinstance(line, ast.Assign) and _stores(line)
                    text = isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)
                    assert stores or text, f"{node.name}.__init__ does more than store: {ast.unparse(line)}"


def _stores(line: ast.Assign) -> bool:
    """self.name = name, for one or several."""
    targets = [ast.unparse(t) for target in line.targets for t in getattr(target, "elts", [target])]
    values = [ast.unparse(v) for v in getattr(line.value, "elts", [line.value])]
    return targets == [f"self.{value}" for value in values]


def test_the_root_is_the_package_under_test():
    assert (ROOT / "errors.py").exists()
    assert len(MODULES) > 50


def test_the_compiled_code_has_one_door():
    doors = {m.name for m in MODULES.values() if any(n.startswith("ostinato._native") for n in m.imports())}
    assert doors == {"ostinato.runtime.native"}
