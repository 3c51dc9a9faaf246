"""Which kernel computes a call, and why not another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ostinato._folder import catalogue
from ostinato.cells.base import Cell
from ostinato.errors import ArgumentError, KernelError
from ostinato.kernels.base import Call, Kernel, States, check
from ostinato.maps.base import Context, Weights

KERNELS = MappingProxyType(
    {name: cls() for name, cls in sorted(catalogue("ostinato.kernels", Kernel).items(), key=lambda item: -item[1].rank)}
)
"""All kernels by name, best first."""

_FORCED: ContextVar[str | None] = ContextVar("ostinato_kernel", default=None)
_OUTPUTS: ContextVar[list[Tensor] | None] = ContextVar("ostinato_outputs", default=None)


_forced_anywhere: str | None = None
"""The same for torch.compile, which cannot look into a ContextVar, but compiles anew when a global changes."""


class Choice(NamedTuple):
    """A kernel's name, and the reasons of the better ones that could not."""

    kernel: str
    reasons: dict[str, str]


@contextmanager
def force(name: str) -> Iterator[None]:
    """In the block all recurrent layers use the kernel `name`; a call that it cannot compute raises `KernelError`.

    Functions under torch.compile obey it, too, those of other threads included.
    """
    if name not in KERNELS:
        raise ArgumentError(
            f"kernel must be one of {', '.join(KERNELS)}", got=repr(name), fix="Choose a name from the list."
        )
    global _forced_anywhere
    token, before = _FORCED.set(name), _forced_anywhere
    _forced_anywhere = name
    try:
        yield
    finally:
        _forced_anywhere = before
        _FORCED.reset(token)


@contextmanager
def outputs() -> Iterator[list[Tensor]]:
    """In the block the list gets the outputs `[batch, time, units]` of every recurrent layer, in order."""
    found: list[Tensor] = []
    token = _OUTPUTS.set(found)
    try:
        yield found
    finally:
        _OUTPUTS.reset(token)


def choose(call: Call) -> Choice:
    """The best kernel that can compute `call`, or the forced one.

    Raises:
        KernelError: The forced kernel cannot; the message says why.
    """
    forced = _forced_anywhere if torch.compiler.is_compiling() else _FORCED.get()
    if forced is not None:
        reason = KERNELS[forced].why_not(call)
        if reason is not None:
            raise KernelError(
                f"the kernel {forced!r} must be able to compute what it is forced to",
                got=reason,
                fix="Leave the choice to ostinato, or force 'reference'.",
            )
        return Choice(forced, {})
    reasons: dict[str, str] = {}
    for name, kernel in KERNELS.items():
        reason = kernel.why_not(call)
        if reason is None:
            return Choice(name, reasons)
        reasons[name] = reason
    raise KernelError("some kernel must be able to compute every call", got=str(reasons), fix="Report this.")


def scan(
    cell: Cell,
    w: Weights,
    x: Tensor,
    state: States,
    *,
    mask: Tensor | None = None,
    reverse: bool = False,
    noise: Tensor | None = None,
    zone: Sequence[Tensor] | float | None = None,
) -> tuple[Tensor, States]:
    """Run `cell` along time with the best kernel; arguments as in `ostinato.scans.loop.loop`."""
    call = Call(cell, w, x, state, mask, reverse, noise, zone)
    check(call)
    result = KERNELS[choose(call).kernel].forward(call)
    heard = None if torch.compiler.is_compiling() else _OUTPUTS.get()
    if heard is not None:
        heard.append(result[0])
    return result


def watched(context: Context, seen: dict[str, Choice]) -> Context:
    """`context` with a scan that notes its choices in `seen`, by the cell's class name; two directions may differ."""

    def note(cell: Cell, w: Weights, x: Tensor, state: States, **options: Any) -> tuple[Tensor, States]:
        call = Call(cell, w, x, state, **options)
        check(call)
        choice, name = choose(call), type(cell).__name__
        seen[name if seen.get(name, choice) == choice else f"{name} in reverse"] = choice
        result: tuple[Tensor, States] = context.scan(cell, w, x, state, **options)
        return result

    return context._replace(scan=note)
