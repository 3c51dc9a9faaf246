"""What happened in training, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """Losses and metrics by epoch.

    Args:
        epoch: Numbers of the epochs.
        history: A list per name: "loss", each metric, and "val_" + each for the validation data.
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    def add(self, epoch: int, logs: dict[str, float]) -> None:
        """Append one epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def best(self, name: str = "val_loss") -> int:
        """The number of the epoch with the smallest value of `name`."""
        values = self.history[name]
        return self.epoch[min(range(len(values)), key=values.__getitem__)]
