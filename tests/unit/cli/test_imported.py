"""The module of a command is imported without the garbage collector, which is as before afterwards."""

from __future__ import annotations

import gc
import importlib
import sys

import pytest

from ostinato.cli.main import Verbs


@pytest.fixture
def thawed(monkeypatch):
    """No command is imported, nothing is frozen, and the collector runs."""
    monkeypatch.delitem(sys.modules, "ostinato.cli.doctor", raising=False)
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.parametrize("collects", [True, False])
def test_what_an_import_makes_is_frozen_once(thawed, collects):
    (gc.enable if collects else gc.disable)()
    verbs = Verbs()
    assert verbs.get_command(None, "doctor") is not None
    frozen = gc.get_freeze_count()
    assert frozen > 1000
    later = [[] for _ in range(1000)]
    assert verbs.get_command(None, "doctor") is not None
    assert gc.get_freeze_count() < frozen + len(later)
    assert gc.isenabled() is collects


def test_nothing_is_collected_meanwhile(thawed, monkeypatch):
    seen = {}

    def import_module(name):
        seen[name] = gc.isenabled()
        return genuine(name)

    genuine = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", import_module)
    Verbs().get_command(None, "doctor")
    assert seen["ostinato.cli.doctor"] is False


def test_an_import_that_fails_freezes_nothing(thawed, monkeypatch):
    monkeypatch.setitem(sys.modules, "ostinato.cli.doctor", None)
    with pytest.raises(ImportError):
        Verbs().get_command(None, "doctor")
    assert gc.isenabled()
    assert not gc.get_freeze_count()
