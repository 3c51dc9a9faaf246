"""Which kernel computes each recurrent layer of a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ostinato.kernels.base import TORCH
from ostinato.kernels.choose import Choice, scan, watched
from ostinato.layers.keras_base import KerasLayer
from ostinato.layers.step_module import StepModule
from ostinato.maps.base import Context, Shape
from ostinato.maps.embedding import Embedding
from ostinato.scans.base import Scan

_STEPS = 4
FASTEST = "the fastest for this cell"


def explain_choices(layers: Sequence[KerasLayer], shape: Shape) -> dict[str, str]:
    """By layer name, the kernel in prediction and, if it differs, in training, with the reasons.

    Args:
        layers: Built layers.
        shape: Input shape of the first one; open lengths are tried with a few steps.
    """
    found: dict[str, str] = {}
    for layer in layers:
        known = tuple(_STEPS if n is None else n for n in shape)
        if isinstance(layer.part, StepModule):
            found[str(layer.name)] = "kernel=reference: a step module is run step by step"
        elif isinstance(layer.part, Scan):
            calm, noisy = _choice(layer, known, training=False), _choice(layer, known, training=True)
            found[str(layer.name)] = calm if calm == noisy else f"{calm}; in training {noisy}"
        shape = layer.part.out_shape(shape)
    return found


@torch.no_grad()
def _choice(layer: KerasLayer, shape: tuple[int, ...], *, training: bool) -> str:
    x = torch.zeros(1, *shape, dtype=torch.int64 if isinstance(layer.part, Embedding) else torch.get_default_dtype())
    seen: dict[str, Choice] = {}
    context = Context(TORCH, scan, (lambda x, rate, axes: x) if training else None)
    layer.part.apply(watched(context, seen), layer.tensors(), x)
    return ", ".join(
        f"kernel={choice.kernel}: {'; '.join(f'{k}: {why}' for k, why in choice.reasons.items()) or FASTEST}"
        for choice in seen.values()
    )
