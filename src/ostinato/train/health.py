"""Gradient health: how far back a loss reaches, how many gates are stuck, which steps exploded, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato._optional import require
from ostinato.errors import ArgumentError, NotBuiltError, ShapeError
from ostinato.kernels.base import TORCH
from ostinato.layers.stack import Stack
from ostinato.losses import LOSSES
from ostinato.losses.named import Loss
from ostinato.maps.base import Context, Weights
from ostinato.report.health import HealthFacts
from ostinato.train.diagnosis import Finding, healthy, lag_below, of_layer, of_steps
from ostinato.train.exploding import ExplodingSteps
from ostinato.train.probes import Probe, Share

LossOf = Callable[[Tensor, Tensor], Tensor]
"""(output `[batch, …]`, target) -> one value a row, or their mean."""


@dataclass(frozen=True)
class LayerHealth:
    """One recurrent layer (each direction is one).

    Args:
        name: The layer's name and its cell.
        norms: `[lags]`, norm of the gradient of the loss with respect to all states of a step together, by how many
            steps the step lies before the last one that counts; the mean over rows that reach so far back.
        shares: Saturated shares of its gates.
        gates: Number of gates of its cell.
    """

    name: str
    norms: tuple[float, ...]
    shares: tuple[Share, ...]
    gates: int

    def lag_below(self, share: float) -> int | None:
        """The first lag from which on gradients are below `share` of their first size; None if none is."""
        return lag_below(self.norms, share)


@dataclass(frozen=True, eq=False)
class Health:
    """What `gradient_health` found.

    Args:
        layers: Recurrent layers in order.
        steps: What watched the training, or None.
        rows: Number of rows that were looked at.
        cut: Whether sequences were longer than what was looked at.
    """

    layers: tuple[LayerHealth, ...]
    steps: ExplodingSteps | None
    rows: int
    cut: bool

    def findings(self) -> tuple[Finding, ...]:
        """One sentence about everything that is wrong, and one about each layer with which nothing is."""
        found: list[Finding] = []
        for layer in self.layers:
            wrong = of_layer(layer.name, layer.norms, layer.shares, gates=layer.gates)
            found += wrong or [healthy(layer.name, layer.norms)]
        return (*found, *(of_steps(self.steps) if self.steps is not None else ()))

    @property
    def healthy(self) -> bool:
        """Whether nothing was found wrong."""
        return all(finding.kind == "healthy" for finding in self.findings())

    def diagnosis(self) -> str:
        """The findings, a line each."""
        return "\n".join(finding.text for finding in self.findings())

    def facts(self) -> HealthFacts:
        """The same as plain data, for `ostinato.report.health_section`."""
        return {
            "norms": {layer.name: list(layer.norms) for layer in self.layers},
            "gates": [
                {"layer": layer.name, "gate": share.name, "kind": share.kind, "low": share.low, "high": share.high}
                for layer in self.layers
                for share in layer.shares
            ],
            "sentences": [finding.text for finding in self.findings()],
            "healthy": self.healthy,
            "rows": self.rows,
            "cut": self.cut,
        }

    def plot(self, axes: Any = None) -> Any:
        """Norm of the gradient by lag, a line a layer, on a logarithmic scale.

        Args:
            axes: Matplotlib axes to draw on; new ones by default.

        Returns:
            The axes; `axes.figure.savefig(path)` writes them.
        """
        if axes is None:
            figure = require("matplotlib.figure", purpose="to plot gradients").Figure(layout="constrained")
            axes = figure.add_subplot()
        for layer in self.layers:
            norms = np.array(layer.norms)
            axes.plot(np.arange(len(norms)), np.where(norms > 0.0, norms, np.nan), label=layer.name)
        axes.set(yscale="log", xlabel="steps back", ylabel="norm of the gradient")
        axes.legend()
        return axes


def gradient_health(
    stack: Stack,
    x: Any,
    y: Any = None,
    *,
    loss: str | Loss | LossOf | None = None,
    mask: Any = None,
    step: int = -1,
    watched: ExplodingSteps | None = None,
    rows: int = 16,
    steps: int = 500,
) -> Health:
    """How far back the loss of the last step reaches, in every recurrent layer, and what that means.

    Exact: the plain formula in float64, step by step, whatever kernel trains the stack. Dropout is off, states begin
    where sequences do. The gradient at a state counts every way from it to the loss. Cost: a forward and a backward
    pass of the reference kernel over `rows` rows and `steps` steps. Weights and states of the stack stay as they are.

    Args:
        stack: A built stack, or any model that is one (`Sequential` has a method of this name that takes all that its
            `fit` takes).
        x: `[batch, *input_shape]`; the first `rows` rows are looked at.
        y: Targets `[batch, …]`. None: the sum of the outputs stands for the loss, which needs no targets.
        loss: Name, object, or function (output, target) of what is minimised; needed if there is `y`.
        mask: `[batch, time]`, True for real steps. Rows are aligned at the last state that counts.
        step: For stacks with one output a step: the loss of which real step, from the end if negative.
        watched: The callback that watched the training, for its sentence.
        rows: At most so many rows.
        steps: At most so many steps; of longer sequences only the last ones are looked at, and `Health.cut` says so.

    Raises:
        ArgumentError: There is no recurrent layer whose states can be seen; `y` came without `loss`, or the reverse.
        ShapeError: `mask` or `y` do not fit `x`.
    """
    if stack.built_shape is None:
        raise NotBuiltError("a stack must be built before it is examined", got="no input shape", fix="Call build().")
    if (y is None) != (loss is None):
        raise ArgumentError("y and loss must be given together", got="only one of them", fix="Pass both, or neither.")
    for name, limit in (("rows", rows), ("steps", steps)):
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ArgumentError(f"{name} must be a whole number of at least 1", got=repr(limit), fix="Leave it out.")
    data, real, target = _data(x, mask, y, like=next(stack.parameters(), torch.zeros(())), rows=rows)
    whole = data.shape[1] if data.ndim > 1 else 0
    data, real, target = _last(data, real, target, steps)
    probe = Probe()
    with torch.enable_grad():
        output, out_mask = _run(stack, data, real, probe, whole=whole)
        if output.ndim > 2:
            at = _at(output, out_mask, step)
            each = torch.arange(len(output), device=output.device)
            if target is not None and target.ndim > 1 and target.shape[1] == output.shape[1]:
                target = target[each, at]
            output = output[each, at]
        total = _total(output, target, loss)
    leaves = [p for run in probe.runs for probes in run.probes for p in probes]
    slopes = torch.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else (None,) * len(leaves)
    whole_slopes = [torch.zeros_like(p) if s is None else s for p, s in zip(leaves, slopes, strict=True)]
    found, first = [], 0
    for run in probe.runs:
        n = len(run.probes) * len(run.cell.states)
        norms = run.norms(whole_slopes[first : first + n])
        first += n
        found.append(LayerHealth(run.layer, tuple(norms.tolist()), run.shares(), len(run.cell.gates)))
    return Health(tuple(found), watched, len(data), whole > steps)


def _data(x: Any, mask: Any, y: Any, *, like: Tensor, rows: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The first rows as tensors; numbers in float64, symbols and classes as they are."""

    def tensor(value: Any) -> Tensor:
        t = (value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))).detach()[:rows].to(like.device)
        return t.double() if t.is_floating_point() else t

    data = tensor(x)
    real = None if mask is None else tensor(mask).bool()
    target = None if y is None else tensor(y)
    if len(data) == 0:
        raise ShapeError("x must have at least one row", got=str(tuple(data.shape)), fix="Pass a batch.")
    if real is not None and real.shape != data.shape[:2]:
        raise ShapeError(
            f"mask must be [batch, time], {tuple(data.shape[:2])}", got=str(tuple(real.shape)), fix="Reshape it."
        )
    if target is not None and (target.ndim == 0 or len(target) != len(data)):
        raise ShapeError(f"y must have {len(data)} rows", got=str(tuple(target.shape)), fix="Pass one target a row.")
    return data, real, target


def _last(
    data: Tensor, real: Tensor | None, target: Tensor | None, steps: int
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The last real steps of each row."""
    if data.ndim < 2 or data.shape[1] <= steps:
        return data, real, target
    time = data.shape[1]
    rank = torch.zeros(data.shape[:2], dtype=torch.int8, device=data.device) if real is None else real.to(torch.int8)
    order = rank.argsort(dim=1, stable=True)[:, -steps:]
    each = torch.arange(len(data), device=data.device)[:, None]
    if target is not None and target.ndim > 1 and target.shape[1] == time:
        target = target[each, order]
    return data[each, order], None if real is None else real[each, order], target


def _run(stack: Stack, x: Tensor, mask: Tensor | None, probe: Probe, *, whole: int) -> tuple[Tensor, Tensor | None]:
    """The output and its mask, with every state probed."""
    for number, layer in enumerate(stack.layers, 1):
        part: Any = layer.part
        w: Weights = {k: v.detach().double() for k, v in layer.tensors().items()}  # type: ignore[operator]
        needed = part.weights(tuple(x.shape[1:]))
        if any(w[name].shape != weight.shape for name, weight in needed.items()):
            raise ArgumentError(
                f"steps must be at least {whole} for a stack that takes sequences of one length only",
                got=f"inputs of shape {tuple(x.shape[1:])} at layer {number}",
                fix=f"Pass steps={whole}, or inputs of the shape that the stack was built for.",
            )
        before = len(probe.runs)
        probe.layer = layer.name or f"layer {number}"  # type: ignore[assignment]
        out = part.apply(Context(TORCH, probe.scan), w, x, mask=mask)
        new = probe.runs[before:]
        for run in new:
            way = ", backward" if run.reverse and len(new) > 1 else ", forward" if len(new) > 1 else ""
            run.layer = f"{run.layer} ({type(run.cell).__name__}{way})"
        x, mask = out.y, out.mask
    if not probe.runs:
        raise ArgumentError(
            "a stack must have a recurrent layer made of cells for its gradients to be followed along time",
            got=", ".join(type(layer.part).__name__ for layer in stack.layers) or "no layer",
            fix="Write the step as a Cell (docs/extending.md), or examine another stack.",
        )
    return x, mask


def _at(output: Tensor, mask: Tensor | None, step: int) -> Tensor:
    """For each row the place of its real step number `step`."""
    time = output.shape[1]
    real = torch.ones(output.shape[:2], dtype=torch.bool, device=output.device) if mask is None else mask
    places = []
    for row in real:
        here = row.nonzero()[:, 0]
        if not -len(here) <= step < len(here):
            raise ArgumentError(
                f"step must be one of the {len(here)} real steps of every row",
                got=f"{step} (of {time} steps with padding)",
                fix="Pass a smaller one, or leave out short rows.",
            )
        places.append(here[step])
    return torch.stack(places)


def _total(output: Tensor, target: Tensor | None, loss: str | Loss | LossOf | None) -> Tensor:
    """The sum over rows of each row's loss."""
    if target is None or loss is None:
        return output.sum()
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ArgumentError(f"loss must be one of {', '.join(LOSSES)}", got=repr(loss), fix="Choose a name.")
        function: LossOf = LOSSES[loss]
    else:
        function = loss.function if isinstance(loss, Loss) else loss
    values = function(output, target)
    return (
        values * len(output)
        if values.ndim == 0
        else values.flatten(1).mean(1).sum()
        if values.ndim > 1
        else (values.sum())
    )
