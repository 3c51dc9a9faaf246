"""The network of a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ostinato.cells import Cell
from ostinato.errors import ArgumentError
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.base import Part
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.unembedding import Unembedding
from ostinato.scans.recurrent import Recurrent
from ostinato.tasks.checks import check_number, check_whole

_NARROW = 64


@dataclass(frozen=True)
class Network:
    """What keeps a generator's network from learning by heart, and how symbols become vectors.

    Args:
        embedding: Numbers that stand for a symbol; 0 means 64, or as many as the last layer has units if they are tied.
        tied: One table for symbols that go in and come out (Press & Wolf 2017); good for large vocabularies.
        dropout: Rate on the inputs and outputs of recurrent layers, one pattern for all steps of a window.
        weight_drop: Rate on the recurrent weights (Merity et al. 2018); keeps the fast kernels.
        zoneout: Rate at which states stay as they were (Krueger et al. 2017); has no fast kernel.
        alpha: Price of large outputs of the last recurrent layer (Merity et al. 2017).
        beta: Price of fast changes of them.
    """

    embedding: int = 0
    tied: bool = False
    dropout: float = 0.0
    weight_drop: float = 0.0
    zoneout: float = 0.0
    alpha: float = 0.0
    beta: float = 0.0

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        check_whole("embedding", self.embedding, least=0)
        if not isinstance(self.tied, bool):
            raise ArgumentError("tied must be True or False", got=repr(self.tied), fix="Pass one of them.")
        for name in ("dropout", "weight_drop", "zoneout", "alpha", "beta"):
            check_number(name, getattr(self, name))
        for name in ("dropout", "weight_drop", "zoneout"):
            if getattr(self, name) >= 1.0:
                raise ArgumentError(f"{name} must be below 1", got=repr(getattr(self, name)), fix="Pass, say, 0.2.")

    def parts(self, cells: Sequence[Cell], size: int) -> tuple[Part, ...]:
        """The layers for a vocabulary of `size` symbols.

        Raises:
            ArgumentError: Symbols cannot be tied, since the last layer has another width than the embedding.
        """
        width = self.embedding or (cells[-1].units if self.tied else _NARROW)
        if self.tied and width != cells[-1].units:
            raise ArgumentError(
                "embedding must be as wide as the last recurrent layer if they are tied",
                got=f"{width} and {cells[-1].units}",
                fix="Leave embedding out.",
            )
        parts: list[Part] = [Embedding(size, width)]
        parts += [
            Recurrent(
                cell, return_sequences=True, dropout=self.dropout, weight_drop=self.weight_drop, zoneout=self.zoneout
            )
            for cell in cells
        ]
        if self.alpha or self.beta:
            parts.append(ActivityPenalty(self.alpha, self.beta))
        if self.dropout:
            parts.append(Dropout(self.dropout, over_time=True))
        parts.append(Unembedding(size) if self.tied else Dense(size))
        return tuple(parts)
