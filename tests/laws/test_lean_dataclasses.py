"""A lean dataclass does what `dataclass(frozen=True)` does; and what the runtime imports is lean."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import pytest

from ostinato._lean_dataclass import lean_dataclass


class Zoo:
    """The same classes, made by one decorator or the other."""

    def __init__(self, made: Callable[..., Any]) -> None:
        @made(frozen=True)
        class Base:
            units: int
            kind: ClassVar[str] = "base"

        @made(frozen=True)
        class Cell(Base):
            activation: str = "tanh"
            tags: list[int] = field(default_factory=list, compare=False)

            def __post_init__(self) -> None:
                if self.units == 13:
                    raise ValueError("13")

            @cached_property
            def twice(self) -> int:
                return self.units * 2

        @made(frozen=True, kw_only=True)
        class Named(Base):
            scale: float = 1.0
            hidden: int = field(default=3, repr=False)

        @made(frozen=True)
        class After(Named):
            last: int = 0

        @made(frozen=True, eq=False)
        class Same:
            values: list[int]
            _index: int = field(init=False, repr=False)

            def __post_init__(self) -> None:
                object.__setattr__(self, "_index", len(self.values))

        @made(frozen=True)
        class Own(Base):
            def __repr__(self) -> str:
                return f"<{self.units}>"

            def __eq__(self, other: object) -> bool:
                return isinstance(other, Own) and self.units % 10 == other.units % 10

            def __hash__(self) -> int:
                return self.units % 10

        @made(frozen=True)
        class Equal(Base):
            def __eq__(self, other: object) -> bool:
                return True

        @dataclass(frozen=True)
        class Users(Cell):  # type: ignore[misc, unused-ignore]
            alpha: float = 0.5

        class Plain(Cell):  # type: ignore[misc, valid-type, unused-ignore]
            def note(self) -> None:
                self.noted = 1

        class Writes(Cell):  # type: ignore[misc, valid-type, unused-ignore]
            def __init__(self, size: int) -> None:
                super().__init__(size)

        @made(frozen=True)
        class Below(Users):
            beta: int = 7

        self.all = [Base, Cell, Named, After, Same, Own, Equal, Users, Plain, Writes, Below]
        for one in self.all:
            one.__module__, one.__qualname__ = "zoo", one.__name__
            setattr(self, one.__name__, one)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


LEAN, STANDARD = Zoo(lean_dataclass), Zoo(dataclass)


def _matched(zoo: Zoo) -> Any:
    match zoo.Cell(3, "relu"):
        case zoo.Cell(units, activation):
            return units, activation


def _set(one: Any, name: str) -> str:
    setattr(one, name, 1)
    return repr(vars(one))


def _delete(one: Any, name: str) -> str:
    delattr(one, name)
    return repr(vars(one))


def _noted(one: Any) -> str:
    one.note()
    del one.noted
    one.note()
    return repr(vars(one))


ACTIONS: dict[str, Callable[[Zoo], Any]] = {
    "by place": lambda z: z.Cell(3, "relu", [1]),
    "by name": lambda z: z.Cell(activation="relu", units=3),
    "by default": lambda z: z.Cell(3),
    "own list each": lambda z: z.Cell(3).tags is z.Cell(3).tags,
    "one missing": lambda z: z.Cell(),
    "one too many": lambda z: z.Base(1, 2),
    "unknown": lambda z: z.Base(1, size=2),
    "twice": lambda z: z.Base(1, units=2),
    "not for the constructor": lambda z: z.Same([], _index=2),
    "after the constructor": lambda z: z.Same([1, 2])._index,
    "refused": lambda z: z.Cell(13),
    "by name only": lambda z: z.Named(3, scale=2.0),
    "by place after by name only": lambda z: z.After(3, 4, scale=2.0),
    "by name only, by place": lambda z: z.Named(3, 2.0),
    "repr of all": lambda z: [repr(z.Named(units=3)), repr(z.Same([1])), repr(z.Own(3)), repr(z.Cell(3, tags=[4]))],
    "equal": lambda z: [z.Cell(3) == z.Cell(3), z.Cell(3, tags=[1]) == z.Cell(3), z.Cell(3) == z.Cell(4)],
    "of other classes": lambda z: [
        z.Base(3) == z.Own(3),
        z.Base(3) == z.Cell(3),
        z.Base(3) == 3,
        z.Cell(3) == z.Plain(3),
    ],
    "identity": lambda z: [z.Same([]) == z.Same([]), len({z.Same([]), z.Same([])})],
    "hash": lambda z: [
        hash(z.Cell(3)) == hash(z.Cell(3)),
        hash(z.Own(13)),
        hash(z.Cell(3, tags=[])) == hash((3, "tanh")),
    ],
    "hash beside an own ==": lambda z: hash(z.Equal(3)) == hash((3,)),
    "own ==": lambda z: [z.Own(3) == z.Own(13), z.Equal(3) == 4],
    "set": lambda z: _set(z.Cell(3), "units"),
    "set another": lambda z: _set(z.Cell(3), "other"),
    "delete": lambda z: _delete(z.Cell(3), "units"),
    "set in a user's": lambda z: _set(z.Users(3), "alpha"),
    "set what a plain one has": lambda z: _noted(z.Plain(3)),
    "set a field of a plain one": lambda z: _set(z.Plain(3), "units"),
    "delete a field of a plain one": lambda z: _delete(z.Plain(3), "units"),
    "set below": lambda z: _set(z.Below(3), "beta"),
    "cached": lambda z: [(one := z.Cell(3)).twice, one.twice, vars(one)],
    "replace": lambda z: replace(z.Below(3), alpha=2.0),
    "replace what is not for the constructor": lambda z: replace(z.Same([1]), _index=2),
    "asdict": lambda z: [asdict(z.Below(3)), astuple(z.Below(3))],
    "copies": lambda z: [copy.copy(z.Cell(3)) == z.Cell(3), copy.deepcopy(z.Cell(3, tags=[1])).tags],
    "match": _matched,
    "an own constructor": lambda z: z.Writes(3),
    "a user's": lambda z: [z.Users(3), z.Users(3, alpha=2.0), z.Users(3) == z.Users(3), z.Below(3, "relu", [], 1.0, 2)],
    "fields": lambda z: [[(f.name, f.type, f.init, f.kw_only) for f in fields(one)] for one in z.all],
    "signatures": lambda z: [_shown(one) for one in z.all],
    "signature of one": lambda z: hasattr(z.Cell(3), "__signature__"),
    "are dataclasses": lambda z: [is_dataclass(one) for one in z.all],
    "positions": lambda z: [one.__match_args__ for one in z.all],
}


def _shown(cls: type) -> list[tuple[str, Any, str, Any]]:
    named = inspect.signature(cls).parameters.values()
    defaults = {p.name: "<factory>" if p.default is list else str(p.default) for p in named}
    return [(p.name, p.kind, str(p.annotation), defaults[p.name]) for p in named]


def _outcome(action: Callable[[Zoo], Any], zoo: Zoo) -> str:
    try:
        return repr(action(zoo))
    except Exception as error:
        return f"{type(error).__mro__}"


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_a_lean_dataclass_does_what_the_standard_one_does(action: Callable[[Zoo], Any]):
    assert _outcome(action, LEAN) == _outcome(action, STANDARD)


@pytest.mark.parametrize("call", ["one missing", "one too many", "unknown", "twice", "set", "delete"])
def test_a_refusal_names_what_it_is_about(call: str):
    names = {"one missing": "'units'", "one too many": "not 2", "unknown": "'size'"}
    with pytest.raises((TypeError, AttributeError), match=names.get(call, "'units'")):
        ACTIONS[call](LEAN)


def test_a_lean_dataclass_cannot_be_thawed():
    with pytest.raises(TypeError, match="frozen"):
        lean_dataclass(frozen=False)
    with pytest.raises(TypeError, match="frozen"):
        dataclass(type("Thawed", (LEAN.Base,), {}))


def test_lean_dataclasses_travel():
    from ostinato.cells.gru import GRU

    assert pickle.loads(pickle.dumps(GRU(3))) == GRU(3)


def test_all_frozen_dataclasses_of_the_runtime_are_lean():
    code = """
import sys
from dataclasses import is_dataclass
import ostinato.runtime, ostinato.cli.predict, ostinato.cli.stream
from ostinato._lean_dataclass import _init
own = [module for name, module in list(sys.modules.items()) if name.startswith("ostinato")]
found = {value for module in own for value in vars(module).values() if isinstance(value, type)}
frozen = [c for c in found if is_dataclass(c) and c.__dataclass_params__.frozen]
assert len(frozen) > 40, frozen
print(*sorted(c.__qualname__ for c in frozen if c.__init__ is not _init))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert not done.stdout.split(), (
        f"use @lean_dataclass(frozen=True) for {done.stdout.strip()}: it spares each start 0.5 ms"
    )
