"""A table of layers."""

from __future__ import annotations

from collections.abc import Sequence

from ostinato.layers.keras_base import KerasLayer
from ostinato.maps._check import show
from ostinato.maps.base import Shape


def table(name: str, layers: Sequence[KerasLayer], shape: Shape | None) -> str:
    """Layers, output shapes and numbers of weights, as text.

    Args:
        name: The model's name.
        layers: Its layers.
        shape: Its input shape (no batch axis); None if it is not known yet.
    """
    rows = [("Layer (type)", "Output Shape", "Param #")]
    for layer in layers:
        if shape is not None:
            shape = layer.part.out_shape(shape)
        rows.append(
            (
                f"{layer.name} ({type(layer).__name__})",
                "?" if shape is None else show(shape),
                "?" if shape is None else f"{layer.count_params():,}",
            )
        )
    widths = [max(len(row[i]) for row in rows) + 2 for i in range(3)]
    lines = ["".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    rule = "─" * sum(widths)
    total = sum(p.numel() for layer in layers for p in layer.parameters())
    trained = sum(p.numel() for layer in layers for p in layer.parameters() if p.requires_grad)
    size = sum(p.numel() * p.element_size() for layer in layers for p in layer.parameters())
    return "\n".join(
        [
            f'Model: "{name}"',
            rule,
            lines[0],
            rule,
            *lines[1:],
            rule,
            f"Total params: {total:,} ({_bytes(size)})"
            if shape is not None
            else "Total params: unknown, not built yet",
            f"Trainable params: {trained:,}",
            f"Non-trainable params: {total - trained:,}",
        ]
    )


def _bytes(n: float) -> str:
    for unit in ("B", "KB", "MB"):
        if n < 1024:
            return f"{n:.2f} {unit}"
        n /= 1024
    return f"{n:.2f} GB"
