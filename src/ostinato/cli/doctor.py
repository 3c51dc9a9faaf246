"""`ostinato doctor`: what is installed, which kernel computes each cell, and whether bf16 is there."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform

import click

from ostinato.cells import CELLS
from ostinato.runtime import native
from ostinato.version import __version__

_PACKAGES = ("numpy", "torch", "polars", "matplotlib")


@click.command()
def command() -> None:
    """Show versions, missing packages and kernels.

    For each cell: which kernel computes it, and why the faster ones cannot.
    """
    click.echo(f"ostinato {__version__}, Python {platform.python_version()}, {platform.machine()}")
    for package in _PACKAGES:
        there = importlib.util.find_spec(package) is not None
        version = importlib.metadata.version(package) if there else 'missing: pip install "ostinato[train]"'
        click.echo(f"  {package:12}{version}")
    reason = native.available()
    found = f"compiled, instruction set {native.engine()}" if reason is None else f"none: {reason}"
    click.echo(f"  {'native code':12}{found}")
    missing = native.without_bf16()
    click.echo(f"  {'bf16':12}{'there, for inference on request' if missing is None else f'none: {missing}'}")
    click.echo(f"  {'threads':12}{native.threads(os.cpu_count() or 1)} at most")
    click.echo("kernels in training" if importlib.util.find_spec("torch") else "kernels of the runtime")
    for name, (kernel, why) in _choices().items():
        click.echo(f"  {name:22}{kernel:12}{why}")


def _choices() -> dict[str, tuple[str, str]]:
    if importlib.util.find_spec("torch") is None:
        reason = native.available() or ""
        kernel = "numpy" if reason else "native"
        return dict.fromkeys(CELLS, (kernel, reason))
    import torch

    from ostinato.kernels import Call, choose

    found = {}
    for name, kind in CELLS.items():
        cell = kind(2)
        w = {key: torch.zeros(weight.shape) for key, weight in cell.weights(1).items()}
        choice = choose(Call(cell, w, torch.zeros(1, 2, 1), (torch.zeros(1, 2),) * len(cell.states)))
        found[name] = (choice.kernel, "; ".join(f"{other}: {why}" for other, why in choice.reasons.items()))
    return found
