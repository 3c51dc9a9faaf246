"""Products with the Gauss–Newton matrix of a network, by a forward and a reverse derivative (Schraudolph 2002)."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from ostinato.kernels.choose import force, outputs
from ostinato.layers.stack import Stack
from ostinato.train.flat import Flat


class Curvature:
    """G = Jᵀ H J: J is the derivative of the outputs by the weights, H the second one of the loss by the outputs.

    J v is a forward-mode derivative through the formula of each cell; Jᵀ u is the backward pass of the kernel that
    training uses. H is positive for a loss that is convex in the outputs, and so is G.

    Args:
        stack: The model.
        flat: Its weights.
        inputs: Input, its mask, and start states.
        outputs: The outputs, and all states of recurrent layers, with their graph.
        slope: Derivative of the mean loss by the outputs.
        bend: The outputs as a leaf, and a derivative of the loss by them with its graph.
        penalty: Of regularised weights; its second derivative belongs to the curvature.
    """

    def __init__(
        self,
        stack: Stack,
        flat: Flat,
        inputs: tuple[Any, ...],
        *,
        outputs: Sequence[Tensor],
        slope: Tensor,
        bend: tuple[Tensor, Tensor],
        penalty: Callable[[], Tensor] | None,
    ) -> None:
        self.flat, self.slope = flat, slope
        self._run, self._inputs = _Run(stack), inputs
        self._outputs, self._bend = outputs, bend
        at = {id(p): name for name, p in self._run.named_parameters()}
        self._names = [at[id(p)] for p in flat.parameters]
        self._penalty: tuple[Tensor | None, ...] = ()
        if penalty is not None:
            value = penalty()
            if value.requires_grad:
                self._penalty = torch.autograd.grad(value, flat.parameters, create_graph=True, allow_unused=True)

    @torch.enable_grad()
    def product(self, v: Tensor, *, structural: float = 0.0) -> Tensor:
        """G v, and `structural` times the same of the mean squared change of the recurrent layers' states.

        Args:
            v: As many numbers as there are weights.
            structural: See Martens & Sutskever 2011: directions that change the course of the states cost more.
        """
        tangents = self._forward(v)
        seen, bent = self._bend
        first = torch.zeros_like(seen)
        if bent.requires_grad:
            (first,) = torch.autograd.grad(bent, seen, tangents[0], retain_graph=True)
        slopes = [first]
        if structural:
            slopes += [t * (structural / (t.shape[0] * max(t.shape[1], 1))) for t in tangents[1:]]
        found = self._backward(slopes)
        bends = [(g, part) for g, part in zip(self._penalty, self._split(v), strict=False) if g is not None]
        bends = [(g, part) for g, part in bends if g.requires_grad]
        if bends:
            found += self._flatten(
                torch.autograd.grad(
                    [g for g, _ in bends],
                    self.flat.parameters,
                    [part for _, part in bends],
                    retain_graph=True,
                    allow_unused=True,
                )
            )
        return found

    def squares(self, draws: int, generator: torch.Generator) -> Tensor:
        """An estimate of the mean over samples of their squared gradients, weight by weight.

        Each draw flips the signs of the samples' gradients at random before they are summed; the square of such a sum
        has the sum of the squares as its mean.
        """
        n = len(self.slope)
        shape = (n, *(1 for _ in self.slope.shape[1:]))
        total = torch.zeros_like(self.flat.data)
        for _ in range(draws):
            signs = torch.randint(0, 2, shape, generator=generator).to(self.slope) * 2.0 - 1.0
            total += self._backward([self.slope * signs]) ** 2
        return total * (n / draws)

    @torch.no_grad()
    def _forward(self, v: Tensor) -> list[Tensor]:
        _prepare()
        with forward_ad.dual_level(), force("reference"), outputs() as hidden:
            duals = {
                name: forward_ad.make_dual(p.detach(), part)  # type: ignore[no-untyped-call]
                for name, p, part in zip(self._names, self.flat.parameters, self._split(v), strict=True)
            }
            y = functional_call(self._run, duals, self._inputs)
            return [_tangent(value) for value in (y, *hidden)]

    def _backward(self, slopes: Sequence[Tensor]) -> Tensor:
        pairs = [(o, s) for o, s in zip(self._outputs, slopes, strict=False) if o.requires_grad]
        if not pairs:
            return torch.zeros_like(self.flat.data)
        return self._flatten(
            torch.autograd.grad(
                [o for o, _ in pairs],
                self.flat.parameters,
                [s for _, s in pairs],
                retain_graph=True,
                allow_unused=True,
            )
        )

    def _split(self, v: Tensor) -> list[Tensor]:
        sizes = [p.numel() for p in self.flat.parameters]
        return [part.view(p.shape) for p, part in zip(self.flat.parameters, torch.split(v, sizes), strict=True)]

    def _flatten(self, parts: Sequence[Tensor | None]) -> Tensor:
        return torch.cat(
            [
                torch.zeros(p.numel(), dtype=p.dtype, device=p.device) if part is None else part.reshape(-1)
                for p, part in zip(self.flat.parameters, parts, strict=True)
            ]
        )


class _Run(nn.Module):
    """A stack's `run` as the call of a module, since `functional_call` replaces weights for a call."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack
        self.training = stack.training

    def forward(self, x: Tensor, mask: Tensor | None, states: Any) -> Tensor:
        return self.stack.run(x, mask=mask, states=states)[0]


@functools.cache
def _prepare() -> None:
    """Load what torch loads at the first forward-mode derivative, without the warnings about its own old parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._decomp.decompositions_for_jvp")


def _tangent(value: Tensor) -> Tensor:
    tangent: Tensor | None = forward_ad.unpack_dual(value).tangent  # type: ignore[no-untyped-call]
    return torch.zeros_like(value) if tangent is None else tangent
