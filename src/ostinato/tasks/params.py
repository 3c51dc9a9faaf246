"""Options as scikit-learn users know them: `get_params` and `set_params`, through nested option objects."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, Self

from ostinato.errors import ArgumentError


class Params:
    """Gives a dataclass `get_params` and `set_params`; `training__seed` is the field `seed` of the field `training`."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - scikit-learn's signature
        """All options by name; with `deep` also those of nested option objects."""
        params: dict[str, Any] = {}
        for name in _names(self):
            value = getattr(self, name)
            params[name] = value
            if deep and is_dataclass(value) and not isinstance(value, type):
                params |= {f"{name}__{inner.name}": getattr(value, inner.name) for inner in fields(value)}
        return params

    def set_params(self, **params: Any) -> Self:
        """Change options; values are checked by `fit`.

        Raises:
            ArgumentError: There is no such option.
        """
        for name, value in params.items():
            first, _, rest = name.partition("__")
            self._know(first, _names(self))
            if not rest:
                object.__setattr__(self, first, value)
                continue
            nested = getattr(self, first)
            if not is_dataclass(nested) or isinstance(nested, type):
                self._know(name, _names(self))
            else:
                self._know(rest, [f.name for f in fields(nested)])
                object.__setattr__(self, first, replace(nested, **{rest: value}))
        return self

    def _know(self, name: str, names: list[str]) -> None:
        if name not in names:
            raise ArgumentError(
                f"an option of {type(self).__name__} must be one of {', '.join(names)}",
                got=repr(name),
                fix="Choose a name from the list; nested ones are written training__seed.",
            )


def _names(options: Any) -> list[str]:
    return [f.name for f in fields(options) if f.init]
