"""Cells and kernels that are wrong on purpose. Each mistake has been made somewhere, by someone, in earnest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from tests.laws.own_cell import Leaky
from tests.laws.problems import UNITS
from torch import Tensor

from ostinato.cells import Cell
from ostinato.cells.gru import GRU
from ostinato.cells.gru_reset_after import GRUResetAfter
from ostinato.cells.lstm import LSTM
from ostinato.cells.simple_rnn import SimpleRNN
from ostinato.kernels.base import Call, Kernel, States
from ostinato.maps.activation import sigmoid, tanh
from ostinato.maps.base import Array, State

# ── wrong kernels ────────────────────────────────────────────────────────────────────────────────────────────────────


class StatesSwapped(Kernel):
    """h and c change places on the way in."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(state=call.state[::-1]))


class FinalStatesSwapped(Kernel):
    """h and c change places on the way out."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        return y, state[::-1]


class GatesPermuted(Kernel):
    """The blocks of all weights in another order, as after loading a file of another library."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        n = len(call.cell.gates) * call.cell.units
        w = {k: v.roll(call.cell.units, -1) if v.shape[-1] == n else v for k, v in call.w.items()}
        return super().forward(call._replace(w=w))


class BiasDropped(Kernel):
    """Biases start at zero in most models, so nobody sees it."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(w={**call.w, "b": 0.0 * call.w["b"]}))


class LastWeightIsTheBias(Kernel):
    """Weights are taken by their place, and a layer with learned start states has more of them."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        *_, last = call.w.values()
        return super().forward(call._replace(w={**call.w, "b": last}))


class RecurrentTransposed(Kernel):
    """U and its transpose have the same shape in a simple RNN."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        n = call.cell.units
        blocks = [u.T for u in call.w["U"].split(n, dim=1)]
        return super().forward(call._replace(w={**call.w, "U": torch.cat(blocks, dim=1)}))


class LengthOffByOne(Kernel):
    """The last real step of each masked row is taken for padding."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        if call.mask is None:
            return super().forward(call)
        last = call.mask & (call.mask.flip(1).cumsum(1).flip(1) == 1)
        return super().forward(call._replace(mask=call.mask & ~last))


class LastStepSkipped(Kernel):
    """The final state is that before the last step."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        if call.x.shape[1] < 2 or call.reverse:
            return y, state
        mask = None if call.mask is None else call.mask[:, :-1]
        return y, super().forward(call._replace(x=call.x[:, :-1], mask=mask))[1]


class MaskIgnored(Kernel):
    """Padding is computed like real steps."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(mask=None))


class MaskedOutputsLeftStanding(Kernel):
    """States are held, but the output at masked steps is the held one instead of zeros."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        return (y if call.mask is None else torch.where(call.mask[:, :, None], y, y + state[0][:, None])), state


class StateMovesAtMaskedSteps(Kernel):
    """Masked outputs are zeroed, but the state goes on through the padding."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call._replace(mask=None))
        return (y if call.mask is None else y * call.mask[:, :, None]), state


class ZeroLengthStepsOnce(Kernel):
    """Packing needs length 1 at least, so empty rows take one step."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        if call.mask is None:
            return super().forward(call)
        first = torch.zeros_like(call.mask)
        first[:, :1] = ~call.mask.any(1, keepdim=True)
        return super().forward(call._replace(mask=call.mask | first))


class NaNAtZeroLength(Kernel):
    """A mean over no steps, somewhere."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        if call.mask is None:
            return y, state
        count = call.mask.sum(1, keepdim=True).to(y.dtype)
        return y, tuple(s * (count / count) for s in state)


class PaddingPoisonsGradients(Kernel):
    """Values are right, but 0 · NaN reaches the gradient of W when the padding holds NaN."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        if call.mask is None:
            return y, state
        leak = torch.where(call.mask[:, :, None], 0.0, call.x @ call.w["W"]).sum((1, 2))
        return y, tuple(torch.where(torch.tensor(data=False), leak[:, None], s) for s in state)


class ReverseNotUndone(Kernel):
    """The outputs of the reversed run stay in the order of computation."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        return (y.flip(1) if call.reverse else y), state


class ReverseIgnored(Kernel):
    """Both halves of a bidirectional layer run forward."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(reverse=False))


class ReverseTurnsPaddingToo(Kernel):
    """The sequence is flipped but its mask is not."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        if not call.reverse or call.mask is None:
            return super().forward(call)
        y, state = super().forward(call._replace(mask=call.mask.flip(1)))
        return y * call.mask[:, :, None], state


class StartStateIgnored(Kernel):
    """Every run starts from zeros; invisible as long as tests do."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(state=tuple(0.0 * s for s in call.state)))


class SecondStateIgnored(Kernel):
    """c starts from zeros, h does not."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(state=(call.state[0], *(0.0 * s for s in call.state[1:]))))


class StartStateDetached(Kernel):
    """Truncation where none was asked for: no gradient reaches the start states."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(state=tuple(s.detach() + 0.0 * s for s in call.state)))


class RecurrentWeightsDetached(Kernel):
    """U does not learn."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        u = call.w["U"]
        return super().forward(call._replace(w={**call.w, "U": u.detach() + 0.0 * u}))


class StaleTape(Kernel):
    """Values are right, but the backward pass sees yesterday's inputs."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        old, _ = super().forward(call._replace(x=call.x.roll(1, 1)))
        return y.detach() + old - old.detach(), state


class OneStepOfGradient(Kernel):
    """The tape is cut after each step."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        steps = range(call.x.shape[1])
        ys, state = [], call.state
        for t in reversed(steps) if call.reverse else steps:
            mask = None if call.mask is None else call.mask[:, t : t + 1]
            y, state = super().forward(call._replace(x=call.x[:, t : t + 1], mask=mask, state=state))
            state = tuple(s.detach() + 0.0 * s for s in state)
            ys.append(y)
        if not ys:
            return super().forward(call)
        return torch.cat(ys[::-1] if call.reverse else ys, dim=1), state


class RowsMixed(Kernel):
    """States are put back in the sorted order of a packed batch instead of the given one."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        if call.mask is None:
            return y, state
        order = call.mask.sum(1).argsort(descending=True, stable=True)
        return y, tuple(s[order] for s in state)


class StartStatesUnsorted(Kernel):
    """Inputs are sorted by length, start states are not."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        if call.mask is None:
            return super().forward(call)
        order = call.mask.sum(1).argsort(descending=True, stable=True)
        return super().forward(call._replace(state=tuple(s[order] for s in call.state)))


class BatchNormalised(Kernel):
    """A row's result depends on the others in its batch."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(x=call.x - 1e-2 * call.x.nan_to_num(0.0, 0.0, 0.0).mean(0, keepdim=True)))


class NoiseIgnored(Kernel):
    """Recurrent dropout is accepted and does nothing."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(noise=None))


class NoiseOnTheState(Kernel):
    """Recurrent dropout falls on the start state, not on the product."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        if call.noise is None:
            return super().forward(call)
        return super().forward(call._replace(noise=None, state=tuple(s * call.noise for s in call.state)))


class NoiseOfTheFirstRow(Kernel):
    """All sequences of a batch share the noise of the first."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        noise = None if call.noise is None else call.noise[:1].expand_as(call.noise)
        return super().forward(call._replace(noise=noise))


class HalfPrecisionInside(Kernel):
    """A fast path through bfloat16 that nobody asked for."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        return super().forward(call._replace(x=call.x.to(torch.bfloat16).to(call.x.dtype)))


class CoarseTanh(Kernel):
    """An approximation that is good to four digits."""

    def forward(self, call: Call) -> tuple[Tensor, States]:
        y, state = super().forward(call)
        return y + 1e-5 * y**3, state


# ── wrong cells ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class ResetAfterForBefore(GRU):
    """The GRU of cuDNN under the published one's name."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        (h,), n = state, self.units
        u = h @ U
        r, z = sigmoid(xp, a[:, :n] + u[:, :n]), sigmoid(xp, a[:, n : 2 * n] + u[:, n : 2 * n])
        new = tanh(xp, a[:, 2 * n :] + r * u[:, 2 * n :])
        return (h + z * (new - h),)


@dataclass(frozen=True)
class ZWeighsTheOldState(GRU):
    """Keras' sign of z under the published one's name."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        (right,) = super().step(xp, a, U, state, **extra)
        (h,), n = state, self.units
        z = sigmoid(xp, a[:, n : 2 * n] + h @ U[:, n : 2 * n])
        new = h + (right - h) / z
        return (new + z * (h - new),)


@dataclass(frozen=True)
class ZWeighsTheNewState(GRUResetAfter):
    """The published sign of z in the GRU of torch."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        (h,), n = state, self.units
        u = h @ U + extra["b_rec"]
        r, z = sigmoid(xp, a[:, :n] + u[:, :n]), sigmoid(xp, a[:, n : 2 * n] + u[:, n : 2 * n])
        new = tanh(xp, a[:, 2 * n :] + r * u[:, 2 * n :])
        return (h + z * (new - h),)


@dataclass(frozen=True)
class RecurrentBiasOutsideR(GRUResetAfter):
    """b_rec is added beside the reset product instead of inside it."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        zeros = xp.zeros_like(extra["b_rec"])
        return super().step(xp, a + extra["b_rec"], U, state, b_rec=zeros)


@dataclass(frozen=True)
class ForgetAndInputSwapped(LSTM):
    """The gate order f, i, c, o instead of i, f, c, o."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        h, c = state
        n = self.units
        a = a + h @ U[:, :]
        c = sigmoid(xp, a[:, :n]) * c + sigmoid(xp, a[:, n : 2 * n]) * tanh(xp, a[:, 2 * n : 3 * n])
        return sigmoid(xp, a[:, 3 * n :]) * tanh(xp, c), c


@dataclass(frozen=True)
class OldCellInOutput(LSTM):
    """h' = o tanh(c) with the c of the step before."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        (_, c), n = super().step(xp, a, U, state, **extra), self.units
        o = sigmoid(xp, a[:, 3 * n :] + state[0] @ U[:, 3 * n :])
        return o * tanh(xp, state[1]), c


@dataclass(frozen=True)
class NoNonlinearity(SimpleRNN):
    """f was forgotten."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        return (a + state[0] @ U,)


@dataclass(frozen=True)
class StateShapedByBatch(Leaky):
    """A user's cell that looks at the whole batch."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        h, v = super().step(xp, a, U, state, **extra)
        return h - 0.1 * xp.sum(h, axis=0, keepdims=True), v


@dataclass(frozen=True)
class CutTape(Leaky):
    """A user's cell that detaches its state."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        h, v = state
        return super().step(xp, a, U, (h.detach() if isinstance(h, Tensor) else h, v), **extra)


class _TanhOnce(torch.autograd.Function):
    """tanh with a first derivative only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x.tanh())
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return g * (1.0 - y.detach() ** 2)


@dataclass(frozen=True)
class SecondDerivativeLost(Leaky):
    """A user's cell with a hand-written backward pass that is right, once."""

    def step(self, xp: Any, a: Array, U: Array, state: State, **extra: Array) -> State:
        h, v = state
        d = xp.sigmoid(extra["leak"])
        inner = a + h @ U
        v = d * v + (1.0 - d) * (_TanhOnce.apply(inner) if isinstance(inner, Tensor) else xp.tanh(inner))
        return v * xp.sigmoid(v * extra["scale"]), v


class Saboteur(NamedTuple):
    """A wrong pair of kernel and cell."""

    kernel: Kernel
    cell: Cell


LSTM_, GRU_, AFTER, LEAKY = LSTM(UNITS), GRU(UNITS), GRUResetAfter(UNITS), Leaky(UNITS)

SABOTEURS: dict[str, Saboteur] = {
    f"{type(kernel).__name__} with {type(cell).__name__}": Saboteur(kernel, cell)
    for kernel, cells in (
        (StatesSwapped(), (LSTM_, LEAKY)),
        (FinalStatesSwapped(), (LSTM_, LEAKY)),
        (GatesPermuted(), (LSTM_, GRU_, AFTER)),
        (SecondStateIgnored(), (LSTM_, LEAKY)),
        (LastWeightIsTheBias(), (SimpleRNN(UNITS), LEAKY)),
        *(
            (kind(), (LSTM_, GRU_))
            for kind in (
                BiasDropped, RecurrentTransposed, LengthOffByOne, LastStepSkipped, MaskIgnored,
                MaskedOutputsLeftStanding, StateMovesAtMaskedSteps, ZeroLengthStepsOnce, NaNAtZeroLength,
                PaddingPoisonsGradients,
                ReverseNotUndone, ReverseIgnored, ReverseTurnsPaddingToo, StartStateIgnored, StartStateDetached,
                RecurrentWeightsDetached, StaleTape, OneStepOfGradient, RowsMixed, StartStatesUnsorted,
                BatchNormalised, NoiseIgnored, NoiseOnTheState, NoiseOfTheFirstRow, HalfPrecisionInside, CoarseTanh,
            )
        ),
    )
    for cell in cells
} | {
    type(cell).__name__: Saboteur(Kernel(), cell)
    for cell in (
        ResetAfterForBefore(UNITS), ZWeighsTheOldState(UNITS), ZWeighsTheNewState(UNITS), RecurrentBiasOutsideR(UNITS),
        ForgetAndInputSwapped(UNITS), OldCellInOutput(UNITS), NoNonlinearity(UNITS), StateShapedByBatch(UNITS),
        CutTape(UNITS), SecondDerivativeLost(UNITS),
    )
}  # fmt: skip
"""All saboteurs by name."""

HONEST = tuple(Saboteur(Kernel(), replace(cell)) for cell in (LSTM_, GRU_, AFTER, LEAKY, SimpleRNN(UNITS)))
"""What must pass, so that a law cannot win by refusing everything."""
