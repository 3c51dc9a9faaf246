"""A frozen dataclass for which nothing is compiled: every process that loads a model makes sixty of them first.

Before Python 3.13, `dataclass` writes up to six methods a class as text and compiles each by itself, half a millisecond
a class. Lean ones share the six methods below. Nothing else differs: `fields`, `replace`, `match` and `help` work, and
a user's `@dataclass(frozen=True)` may inherit from them. Only an instance costs more, about 3 µs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["lean_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as lean_dataclass
else:
    import inspect
    from dataclasses import MISSING, FrozenInstanceError, dataclass, fields

    def lean_dataclass(*, frozen, eq=True, kw_only=False):
        """Like `dataclass(frozen=True, eq=eq, kw_only=kw_only)`."""
        if not frozen:
            raise TypeError("a lean dataclass is frozen")
        methods = {"__init__": _init, "__repr__": _repr, "__setattr__": _setattr, "__delattr__": _delattr}
        if eq:
            methods |= {"__eq__": _eq, "__hash__": _hash}

        def lean(cls):
            above = [vars(base)[_PARAMS] for base in cls.__mro__[1:] if _PARAMS in vars(base)]
            for params in above:  # next to a frozen base, `dataclass` writes two methods
                params.frozen = False
            try:
                dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
            finally:
                for params in (*above, vars(cls)[_PARAMS]):
                    params.frozen = True
            for name, method in methods.items():
                if vars(cls).get(name) is None:
                    setattr(cls, name, method)
            cls.__signature__ = _Signature()
            return cls

        return lean

    _PARAMS = "__dataclass_params__"

    def _init(self, *args, **options):
        known = [field for field in fields(self) if field.init]
        by_place = [field.name for field in known if not field.kw_only]
        if len(args) > len(by_place):
            raise TypeError(f"{_called(self)} takes {len(by_place)} arguments by position at most, not {len(args)}")
        given = dict(zip(by_place, args, strict=False))
        if given.keys() & options.keys():
            raise TypeError(f"{_called(self)} got multiple values for argument {min(given.keys() & options.keys())!r}")
        given |= options
        self.__dict__.update(
            (field.name, given.pop(field.name) if field.name in given else _default(self, field)) for field in known
        )
        if given:
            raise TypeError(f"{_called(self)} got an unexpected keyword argument {min(given)!r}")
        after = getattr(self, "__post_init__", None)
        if after is not None:
            after()

    def _default(self, field):
        if field.default is not MISSING:
            return field.default
        if field.default_factory is not MISSING:
            return field.default_factory()
        raise TypeError(f"{_called(self)} missing required argument: {field.name!r}")

    def _called(self):
        return f"{type(self).__qualname__}.__init__()"

    def _repr(self):
        shown = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if field.repr)
        return f"{type(self).__qualname__}({shown})"

    def _content(self):
        return tuple(getattr(self, field.name) for field in fields(self) if field.compare)

    def _eq(self, other):
        return _content(self) == _content(other) if type(other) is type(self) else NotImplemented

    def _hash(self):
        return hash(_content(self))

    def _setattr(self, name, value):
        _check_own(self, name, "assign to")
        object.__setattr__(self, name, value)

    def _delattr(self, name):
        _check_own(self, name, "delete")
        object.__delattr__(self, name)

    def _check_own(self, name, verb):
        """Only what a subclass that is no dataclass adds may change."""
        if _PARAMS in vars(type(self)) or any(field.name == name for field in fields(self)):
            raise FrozenInstanceError(f"cannot {verb} field {name!r}")

    class _Signature:
        """The arguments by name, for `inspect.signature` and `help` of a class."""

        def __get__(self, one, cls):
            if one is not None or cls.__init__ is not _init:
                raise AttributeError("__signature__")
            parameters = [_parameter(field) for field in fields(cls) if field.init]
            return inspect.Signature(sorted(parameters, key=lambda one: one.kind), return_annotation=None)

    def _parameter(field):
        kind = inspect.Parameter
        default = next((value for value in (field.default, field.default_factory) if value is not MISSING), kind.empty)
        place = kind.KEYWORD_ONLY if field.kw_only else kind.POSITIONAL_OR_KEYWORD
        return kind(field.name, place, default=default, annotation=field.type)
