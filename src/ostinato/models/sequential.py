"""A stack of layers with the interface that Keras users know."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ostinato import train
from ostinato.errors import ArgumentError, DataError, NonFiniteLoss, NotBuiltError
from ostinato.layers.keras_base import KerasLayer
from ostinato.layers.keras_input import Input
from ostinato.losses.named import Loss
from ostinato.maps.base import Shape
from ostinato.models import saving
from ostinato.models.arguments import need_targets, pair, refuse_unknown, split, verbosity
from ostinato.models.figures import Figure, figure
from ostinato.models.inputs import check_rows, check_whole
from ostinato.models.layered import Layered
from ostinato.models.objective import objective, resolve_loss
from ostinato.models.resuming import joined, refuse_together, saved_run
from ostinato.models.targets import as_target, as_weights, with_classes
from ostinato.train.distributed import writes
from ostinato.train.optimisers import Optimizer
from ostinato.train.optimisers import optimizer as named_optimizer
from ostinato.train.progress import Progress

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class Compiled(NamedTuple):
    """What `compile` was told: loss and metrics."""

    loss: Loss
    figures: tuple[Figure, ...]


class Sequential(Layered):
    """Layers one after the other.

    Args:
        layers: The layers, first one first; an `Input` may stand in front.
        name: The model's name in summaries and files.
        seed: Decides first weights, data order and dropout; a fresh one by default (see `set_random_seed`), which
            `model.seed` shows.
    """

    def __init__(
        self, layers: Iterable[KerasLayer | Input] | None = None, *, name: str | None = None, seed: int | None = None
    ) -> None:
        super().__init__(name=name, seed=seed)
        self.optimizer: Optimizer | None = None
        self.history: train.History | None = None
        self.told: Compiled | None = None
        self._runs = 0
        self._steps = 0
        for layer in layers or ():
            self.add(layer)

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns, in order."""
        return ["loss", *(f.name for f in self._need_compiled().figures)]

    def compile(
        self,
        optimizer: str | Optimizer = "rmsprop",
        loss: str | Loss | Callable[..., Any] | None = None,
        metrics: Sequence[Any] | str = (),
        **unknown: object,
    ) -> None:
        """Say how to train.

        Args:
            optimizer: Name or object.
            loss: Name, object, or function (y_true, y_pred) on tensors.
            metrics: Names or functions (y_true, y_pred); "accuracy" means the one that belongs to the loss.
        """
        refuse_unknown("compile", unknown)
        if loss is None:
            raise ArgumentError("loss must be given", got="None", fix="Pass, say, loss='mse'.")
        chosen = resolve_loss(loss)
        asked = [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics or ())
        figures = tuple(figure(m, chosen) for m in asked)
        names = [f.name for f in figures]
        if len(set(names)) < len(names) or "loss" in names:
            raise ArgumentError(
                "metrics must have different names, none of them 'loss'",
                got=", ".join(names),
                fix="Rename or remove one.",
            )
        self.optimizer = named_optimizer(optimizer)
        self.told = Compiled(chosen, figures)

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | str | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Iterable[train.Callback] | train.Callback | None = None,
        validation_split: float = 0.0,
        validation_data: Sequence[Any] | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        validation_freq: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        every: float = 30.0,
        bptt: int = 0,
        memory: str = "truncate",
        **unknown: object,
    ) -> train.History:
        """Train the model.

        Args:
            x: Samples: array, tensor, data frame, or list; sequences of different lengths are padded and masked.
            y: Targets in the shape of the output; never broadcast.
            batch_size: Samples a step, 32 by default; "full" for all of them (after `validation_split`) in one step.
            epochs: Number of the last epoch.
            verbose: 0 silent, 1 a bar on a terminal, 2 a line an epoch; "auto" is 1.
            callbacks: See `ostinato.train`.
            validation_split: Share of the last rows that are only measured; they are cut off before shuffling.
            validation_data: (x, y) or (x, y, sample_weight) that is only measured.
            shuffle: Whether each epoch has its own order; must be False for stateful models.
            class_weight: Weight of each class in the training loss; validation data has no class weights.
            sample_weight: Weight of each sample, or of each step, in the loss.
            initial_epoch: Number of epochs already done in an earlier call, which this one then continues exactly.
            validation_freq: Measure the validation data after every so many epochs.
            checkpoint: Folder in which training is saved while it goes. The same call then goes on where it was
                stopped, to the last bit, or gives what it gave if it was done. Ctrl-C ends the step, saves, and
                returns, with a warning.
            every: Seconds between two saves.
            bptt: Steps of the windows that sequences are computed in, with the state carried on; 0 for whole sequences.
            memory: What happens where windows meet, see `Training`: "truncate", "store" or "recompute".

        Processes that `torchrun` started train one model together, of which the first one writes.

        Returns:
            Figures by epoch.
        """
        refuse_unknown("fit", unknown)
        need_targets("fit", x, y)
        compiled = self._need_compiled()
        first, last = check_whole("initial_epoch", initial_epoch, least=0), check_whole("epochs", epochs)
        samples, valid = self._samples(x, y, sample_weight), None
        if validation_data is not None:
            valid = self._samples(*pair(validation_data))
        elif validation_split:
            samples, valid = split(samples, validation_split)
        samples = with_classes(samples, class_weight, ndim=len(self.output_shape))
        size = self._batch_size(batch_size, len(samples))
        self._check_training(samples, valid, size, shuffle)
        together = joined(stateful=self._stateful, windows=check_whole("bptt", bptt, least=0) > 0)
        self.claim()
        asked = list(callbacks or ()) if callbacks is None or isinstance(callbacks, Iterable) else [callbacks]
        watching = [Progress(shown)] if (shown := verbosity(verbose)) and writes() else []
        if first == 0:
            self._runs += 1
        again = self._runs > 1 and checkpoint is None  # a saved run begins as the first one, in whatever process
        seed = int(np.random.default_rng([self.seed, self._runs]).integers(2**31)) if again else self.seed
        self.noise.seed = seed
        history = train.History()
        self.history = history
        order = train.Order(seed, size, shuffle)
        feed, sweep = train.course(self, samples, order, bptt=bptt, memory=memory)
        told: dict[str, Any] = {
            "objective": objective(compiled.loss, compiled.figures, penalty=self._penalty()),
            "optimizer": self._optimizer(),
            "epochs": range(first, last),
            "valid": None if valid is None else train.Batches(valid, order),
            "sweep": sweep,
            "callbacks": [*watching, *asked],
        }
        try:
            with saved_run(self, feed, told, asked, folder=checkpoint, every=every, team=together) as part:
                train.train(
                    self,
                    feed,
                    valid_every=check_whole("validation_freq", validation_freq),
                    history=history,
                    part=part,
                    team=together,
                    **told,
                )
        except NonFiniteLoss as error:
            self.reset_states()
            ends = [c for c in asked if isinstance(c, train.TerminateOnNaN)]
            if not ends:
                raise
            for end in ends:
                end.error = error
            self.stop_training = True
            for callback in (*watching, *asked):
                callback.on_train_end({})
        finally:
            self.noise.seed = self.seed
        return history

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | str | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        *,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics on data; nothing is changed or printed.

        Returns:
            The loss; a list of loss and metrics if there are metrics; a dictionary with `return_dict`.
        """
        verbosity(verbose)
        need_targets("evaluate", x, y)
        compiled = self._need_compiled()
        samples = self._samples(x, y, sample_weight)
        size = self._batch_size(batch_size, len(samples))
        self._check_batches(len(samples), size)
        found = train.measure(self, samples, objective(compiled.loss, compiled.figures, penalty=self._penalty()), size)
        if return_dict:
            return found
        return list(found.values()) if compiled.figures else found["loss"]

    def predict(self, x: Any, batch_size: int | str | None = None, verbose: int | str = "auto") -> Floats:
        """The outputs for `x` as an array, in its order; dropout is off, nothing is printed."""
        verbosity(verbose)
        given = self._input_of(x)
        size = self._batch_size(batch_size, len(given.x))
        self._check_batches(len(given.x), size)
        return train.predict(self, given.x, batch_size=size, mask=given.mask).numpy()

    def predict_on_batch(self, x: Any) -> Floats:
        """The outputs for `x`, computed at once."""
        given = self._input_of(x)
        return train.predict(self, given.x, batch_size=max(len(given.x), 1), mask=given.mask).numpy()

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        *,
        return_dict: bool = False,
    ) -> Any:
        """One step on `x` and `y`; returns the loss before it, or a list or dictionary of loss and metrics."""
        compiled = self._need_compiled()
        refuse_together("train_on_batch")
        samples = with_classes(self._samples(x, y, sample_weight), class_weight, ndim=len(self.output_shape))
        self.claim()
        history = train.train(
            self,
            samples,
            objective=objective(compiled.loss, compiled.figures, penalty=self._penalty()),
            optimizer=self._optimizer(),
            order=train.Order(self.seed, max(len(samples), 1), shuffle=False),
            epochs=range(self._steps, self._steps + 1),
        )
        self._steps += 1
        found = {name: values[0] for name, values in history.history.items()}
        if return_dict:
            return found
        return list(found.values()) if compiled.figures else found["loss"]

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, *, return_dict: bool = False) -> Any:
        """Loss and metrics on `x` and `y`, computed at once."""
        size = max(len(x), 1)
        return self.evaluate(x, y, batch_size=size, sample_weight=sample_weight, return_dict=return_dict)

    def lr_find(
        self,
        x: Any,
        y: Any,
        batch_size: int | str | None = None,
        *,
        first: float = 1e-6,
        last: float = 1.0,
        steps: int = 100,
    ) -> train.RangeTest:
        """Look for a learning rate: `model.lr_find(x, y).suggestion`, and `.plot()`; the model stays as it is.

        Args:
            x: Samples, as for `fit`.
            y: Targets.
            batch_size: As it will be in `fit`: the best rate grows with it.
            first: The smallest rate.
            last: The largest rate.
            steps: Number of rates, one batch each.
        """
        compiled = self._need_compiled()
        if self._stateful:
            raise ArgumentError("a range test must have a model that is not stateful", got="a stateful one",
                                fix="Build it with stateful=False for the test.")  # fmt: skip
        samples = self._samples(x, y)
        self.claim()
        return train.lr_find(
            self,
            samples,
            objective=objective(compiled.loss, compiled.figures, penalty=self._penalty()),
            optimizer=self._optimizer(),
            order=train.Order(self.seed, self._batch_size(batch_size, len(samples))),
            first=first,
            last=last,
            steps=steps,
        )

    def gradient_health(self, x: Any, y: Any = None, **options: Any) -> train.Health:
        """How far back the loss reaches in every recurrent layer, and what that means.

        Args:
            x: As for `fit`; a few rows are enough.
            y: Targets, for the loss that `compile` was told; None: the sum of the outputs stands for the loss.
            options: `step`, `watched`, `rows` and `steps` of `ostinato.train.gradient_health`.
        """
        if y is None:
            given = self._input_of(x)
            return train.gradient_health(self, given.x, mask=given.mask, **options)
        samples, loss = self._samples(x, y), self._need_compiled().loss
        return train.gradient_health(self, samples.x, samples.target, loss=loss, mask=samples.mask, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file: layers, weights, and what `compile` was told by name."""
        self._need_built()
        saving.save_model(self, path)

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write a file from which `load_weights` can read; it is the same that `save` writes."""
        self.save(path)

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Take the weights of a saved model of the same layers; also of Keras' `.weights.h5` and `.h5` files."""
        self._need_built()
        saving.load_weights(self, path)

    def _need_compiled(self) -> Compiled:
        if self.told is None:
            raise NotBuiltError(
                "a model must be compiled before it trains or is measured", got="no loss", fix="Call compile(loss=…)."
            )
        return self.told

    def _optimizer(self) -> Optimizer:
        if self.optimizer is None or not any(p.requires_grad for p in self.parameters()):
            raise ArgumentError(
                "a model must have weights to train", got="none", fix="Set trainable=True in a layer with weights."
            )
        return self.optimizer

    def _samples(self, x: Any, y: Any, sample_weight: Any = None) -> train.Arrays:
        given = self._input_of(x)
        if len(given.x) == 0:
            raise DataError("there must be at least one sample", got="none", fix="Pass more data.", code="empty")
        shape: Shape = tuple(given.x.shape[1:])
        for layer in self.entries:
            shape = layer.part.out_shape(shape)
        output = (len(given.x), *(int(n or 0) for n in shape))
        target = as_target(y, output=output, kind=self._need_compiled().loss.target)
        check_rows(len(given.x), y=target)
        weight = as_weights(sample_weight, output=output)
        return train.Arrays(given.x, target, weight, given.mask)

    def _batch_size(self, asked: int | str | None, n: int) -> int:
        fixed = self.batch_size
        asked = max(n, 1) if asked == "full" else asked
        if asked is not None:
            check_whole("batch_size", asked)
            if fixed is not None and asked != fixed:
                raise ArgumentError(
                    f"batch_size must be {fixed}, which the first layer fixes", got=repr(asked), fix="Leave it out."
                )
        return int(asked or fixed or 32)

    @property
    def _stateful(self) -> bool:
        return any(layer.stateful for layer in self.entries)

    def _check_batches(self, n: int, size: int) -> None:
        if n > size and n % size and (self._stateful or self.batch_size is not None):
            raise DataError(
                f"the number of rows must be a multiple of the batch size, {size}, for a stateful model",
                got=f"{n} rows",
                fix="Drop rows or choose another batch_size.",
                code="batch",
            )

    def _check_training(self, samples: train.Arrays, valid: train.Arrays | None, size: int, shuffle: object) -> None:
        if not isinstance(shuffle, bool):
            raise ArgumentError("shuffle must be True or False", got=repr(shuffle), fix="Pass a bool.")
        if self._stateful and shuffle:
            raise ArgumentError(
                "shuffle must be False for a stateful model, whose batches follow each other",
                got="shuffle=True",
                fix="Pass shuffle=False.",
            )
        for part in (samples, valid):
            if part is not None:
                self._check_batches(len(part), size)

    def _penalty(self) -> Callable[[], Tensor] | None:
        layers = [layer for layer in self.entries if layer.penalty() is not None]
        if not layers:
            return None
        return lambda: torch.stack([p for layer in layers if (p := layer.penalty()) is not None]).sum()
