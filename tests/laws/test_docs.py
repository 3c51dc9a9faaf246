"""Documentation is tested like code: its Python runs, its links lead somewhere, and nothing is left out of it."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from ostinato.cells import CELLS
from ostinato.cli.main import group
from ostinato.kernels import KERNELS
from ostinato.version import __version__

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("recipes/*.md")])
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S), 1)
]
EXAMPLES = sorted(
    ".".join(file.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    for file in (ROOT / "src").rglob("*.py")
    if ">>> " in file.read_text("utf-8")
)


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_of_docstrings_run(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("block", BLOCKS)
def test_python_of_the_pages_runs(block, tmp_path):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_every_verb_has_help_and_a_row():
    context = click.Context(group)
    verbs = group.list_commands(context)
    assert verbs
    rows = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for verb in verbs:
        command = group.get_command(context, verb)
        assert command is not None
        assert command.help, verb
        assert f"`ostinato {verb}" in rows, verb


def test_commands_of_the_pages_exist():
    verbs = set(group.list_commands(click.Context(group)))
    for page in PAGES:
        for verb in re.findall(r"^ostinato (\w+)", page.read_text("utf-8"), re.M):
            assert verb in verbs, (page, verb)


def test_every_cell_and_kernel_is_named():
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    for name in (*CELLS, *KERNELS):
        assert f"`{name}`" in pages, name


def test_version_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_bench_has_a_row():
    rows = (ROOT / "bench" / "README.md").read_text("utf-8")
    for file in ROOT.glob("bench/*.py"):
        assert f"`{file.name}`" in rows


def test_every_recipe_has_a_row():
    rows = (ROOT / "recipes" / "README.md").read_text("utf-8")
    files = list(ROOT.glob("recipes/*.py"))
    assert files
    for file in files:
        assert f"`{file.name}`" in rows, file
