"""How a forecast is trained and calibrated, once its plan stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ostinato.data import Panel
from ostinato.data.framing import Floats
from ostinato.kernels.choose import Choice as KernelChoice
from ostinato.layers.module import Layer
from ostinato.layers.noise import Noise
from ostinato.layers.stack import Stack
from ostinato.losses.quantile import Quantile
from ostinato.maps.base import Part, Weights
from ostinato.metrics.conformal import widening
from ostinato.runtime.forecaster import Forecaster, quantile_grid
from ostinato.runtime.forecaster_file import most_bytes
from ostinato.runtime.histories import Known, Reading
from ostinato.tasks.forecasting.plan import Plan
from ostinato.tasks.learning.networks import Trained, n_members, new_member, train_member
from ostinato.tasks.learning.runs import optimiser
from ostinato.tasks.training import Training
from ostinato.train.batches import Batch
from ostinato.train.health import Health, gradient_health
from ostinato.train.loop import Objective
from ostinato.train.range_test import RangeTest, lr_find
from ostinato.train.resume import Checkpoint
from ostinato.train.windows import WindowSamples

FOLDS = 5
_VALID_WINDOWS = 2000
_LEAST = 8
_HEALTH_WINDOWS = 32


@dataclass(frozen=True, eq=False)
class ForecastFit:
    """Trains ensembles on parts of a panel.

    Args:
        panel: The series.
        plan: How they are cut and seen.
        parts: The layers of one network.
        level: Levels of the intervals in per cent, falling.
        training: Options.
        verbose: As in `Forecast.fit`.
        run: Where the trainings are saved while they go; None for nowhere.
    """

    panel: Panel
    plan: Plan
    parts: tuple[Part, ...]
    level: tuple[float, ...]
    training: Training
    verbose: int = 0
    run: Checkpoint | None = None

    def ensemble(self, stop: Sequence[int], *, label: str) -> tuple[Trained, ...]:
        """Train on each series' steps before `stop`, of which the last `plan.valid` decide when to stop."""
        valid, samples = self.plan.valid, self.learned(stop)
        held = self.samples(stop, [range(n - valid, n) for n in stop], unit_stop=[n - valid for n in stop])
        count = n_members(self.training, len(samples))
        return tuple(self._train(samples, held, number=k, label=f"{label} {k + 1}/{count}") for k in range(count))

    def most_bytes(self) -> int:
        """The most bytes that the file of the final model will have."""
        count = n_members(self.training, len(self.learned([len(one) for one in self.panel.series])))
        return most_bytes(self.parts, self.plan.framing, self.panel.ids, members=count, levels=len(self.level))

    def learned(self, stop: Sequence[int]) -> WindowSamples:
        """The training windows of each series' steps before `stop`."""
        reach, valid = self.plan.framing.reach, self.plan.valid
        return self.samples([n - valid for n in stop], [range(reach, n - valid) for n in stop])

    def range_test(self, stop: Sequence[int], **limits: Any) -> RangeTest:
        """Look for the learning rate of the first network."""
        shape = (self.plan.framing.length, 1)
        member = new_member(self.parts, shape, self.learned(stop), training=self.training, number=0)
        to, optimizer = member.to, optimiser(self.training, 1)
        return lr_find(member.stack, to.feed, objective=self.objective(), optimizer=optimizer, sweep=to.sweep, **limits)

    def calibrate(self, stop: Sequence[int], trained: Sequence[Trained], reading: Reading) -> tuple[Floats, str]:
        """How much intervals must widen to hold their share, and on what that is based.

        A large data set is calibrated on its validation steps. A small one has too few of them: there, five networks
        more are trained, each without one fifth of the past (and without the windows that reach into it), and the
        errors of all fifths count (cross-conformal prediction, Vovk 2015).
        """
        reach, horizon = self.plan.framing.reach, self.plan.framing.horizon
        units = [n - self.plan.valid for n in stop]
        folds: list[tuple[WindowSamples, tuple[list[Weights], ...]]] = []
        if len(trained) > 1:
            for k in range(FOLDS):
                inside, outside = [], []
                for n in stop:
                    first, last = (reach + (n - reach) * i // FOLDS for i in (k, k + 1))
                    inside.append(range(first, last))
                    outside.append([o for o in range(reach, n) if o + horizon <= first or o >= last + horizon - 1])
                samples = self.samples(stop, outside, unit_stop=units)
                held = self.samples(stop, inside, unit_stop=units)
                if len(samples) >= _LEAST and len(held) > 0:
                    net = self._train(samples, held, number=1000 + k, label=f"calibration {k + 1}/{FOLDS}")
                    folds.append((held, (net.weights,)))
        why = "on five parts of the past, each left out in turn"
        if len(folds) < FOLDS:
            held = self.samples(stop, [range(u, n) for u, n in zip(units, stop, strict=True)], unit_stop=units)
            folds = [(held, tuple(t.weights for t in trained))]
            why = "on the validation steps"
        bare = self.forecaster(trained, stop, reading, np.zeros(len(self.level)))
        low, high, target = [], [], []
        for held, members in folds:
            batch = held.batch(torch.arange(len(held)))
            assert batch.weight is not None
            known = batch.weight.numpy() > 0.0
            answer = replace(bare, members=members).answer(batch.x.numpy())
            low.append(answer[:, :, : len(self.level)][known])
            high.append(answer[:, :, : -len(self.level) - 1 : -1][known])
            target.append(batch.target.numpy().astype(np.float64)[known])
        lows, highs, targets = np.concatenate(low), np.concatenate(high), np.concatenate(target)
        found = [widening(lows[:, i], highs[:, i], targets, level=p / 100.0) for i, p in enumerate(self.level)]
        return np.array(found), why

    def health(self, trained: Trained) -> Health:
        """How far back the loss reached in one network, on some of its training windows."""
        stop = [len(one) - self.plan.test - self.plan.valid for one in self.panel.series]
        samples = self.samples(stop, [range(self.plan.framing.reach, n) for n in stop])
        rows = min(len(samples), _HEALTH_WINDOWS)
        batch = samples.batch(torch.linspace(0, len(samples) - 1, rows).long())
        stack = Stack([Layer(part, name=f"layer {i}") for i, part in enumerate(self.parts, 1)])
        stack.build((self.plan.framing.length, 1))
        for layer, weights in zip(stack.layers, trained.weights, strict=True):
            for key, p in layer.weights.items():  # type: ignore[operator, union-attr]
                p.data.copy_(torch.from_numpy(np.array(weights[key])))
        quantile = Quantile(quantile_grid(self.level))
        return gradient_health(
            stack, batch.x, batch.target, loss=lambda y, target: quantile(y, target, batch.weight),
            watched=trained.watched, rows=rows,
        )  # fmt: skip

    def forecaster(
        self, trained: Sequence[Trained], stop: Sequence[int], reading: Reading, widening: Floats
    ) -> Forecaster:
        """The trained networks as something that forecasts, knowing each series' steps before `stop`."""
        series = [one.between(0, n) for one, n in zip(self.panel.series, stop, strict=True)]
        cell = self.parts[0].cell  # type: ignore[attr-defined]
        return Forecaster(
            parts=self.parts,
            members=tuple(t.weights for t in trained),
            framing=self.plan.framing,
            level=self.level,
            widening=widening,
            label=type(cell).__name__,
            known=Known(
                self.panel.ids,
                self.units([n - self.plan.valid for n in stop]),
                np.stack([one.values[-self.plan.framing.reach :] for one in series]),
                np.array([one.times[-1] for one in series]),
            ),
            reading=reading,
        )

    def kernels(self) -> dict[str, KernelChoice]:
        """The kernel of the cell, found on one window."""
        layer = Layer(self.parts[0])
        layer.build((self.plan.framing.length, 1), noise=Noise(0))
        found: dict[str, KernelChoice] = layer.choices(torch.zeros(1, self.plan.framing.length, 1))
        return found

    def samples(
        self, stop: Sequence[int], spans: Sequence[Sequence[int]], *, unit_stop: Sequence[int] | None = None
    ) -> WindowSamples:
        """Windows of each series' steps before `stop`; units come from the steps before `unit_stop`."""
        series = [one.between(0, n) for one, n in zip(self.panel.series, stop, strict=True)]
        total = sum(map(len, spans))
        return WindowSamples(
            self.plan.framing,
            [self.plan.framing.into(one.values) for one in series],
            [one.observed for one in series],
            self.units(unit_stop or stop),
            spans=spans,
            stride=max(1, total // _VALID_WINDOWS) if unit_stop is not None and total > 2 * _VALID_WINDOWS else 1,
        )

    def units(self, stop: Sequence[int]) -> Floats:
        """The unit of each series, from its steps before `stop`."""
        return self.plan.framing.units(
            [self.plan.framing.into(one.values[:n]) for one, n in zip(self.panel.series, stop, strict=True)]
        )

    def objective(self) -> Objective:
        """The mean quantile loss of windows."""
        quantile = Quantile(quantile_grid(self.level))

        def loss(y: Tensor, batch: Batch, mask: Tensor | None) -> tuple[Tensor, float]:
            return quantile(y, batch.target, batch.weight).mean(), float(len(y))

        return Objective(loss)

    def _train(self, samples: WindowSamples, valid: WindowSamples, *, number: int, label: str) -> Trained:
        return train_member(
            self.parts,
            (self.plan.framing.length, 1),
            samples,
            objective=self.objective(),
            training=self.training,
            number=number,
            valid=valid,
            verbose=self.verbose,
            label=label,
            run=self.run,
        )
