"""What part of a series a forecasting network sees, and what part tests it."""

from __future__ import annotations

from dataclasses import dataclass

from ostinato.data.framing import ANCHORS
from ostinato.errors import ArgumentError
from ostinato.tasks.checks import check_whole


@dataclass(frozen=True)
class Windows:
    """Options of windows; 0 and "auto" leave the choice to the data (see `explain_choices`).

    Args:
        length: Steps that the network sees; 0 for two seasons, or two horizons (at most 96 steps) if that is longer,
            and fewer where the shortest series needs its steps to learn from.
        season: Steps in a season; 0 for the usual one of the frequency (12 for months, 24 for hours, …).
        test: Last steps of each series that are held out to evaluate; 0 for two horizons, or as many as a quarter of
            the shortest series has, but at least one horizon; -1 for no evaluation.
        step: Steps between forecast origins in the evaluation; 0 for about 50 origins a series.
        log: "yes" if effects multiply, "no" if they add, "auto" to decide by the training part.
        anchor: "season", "profile", "last" or "mean" (see `ostinato.data.framing.Framing`), or "auto": the best on the
            training part.
    """

    length: int = 0
    season: int = 0
    test: int = 0
    step: int = 0
    log: str = "auto"
    anchor: str = "auto"

    def check(self) -> None:
        """Raise `ArgumentError` unless all values are in range."""
        for name, least in (("length", 0), ("season", 0), ("test", -1), ("step", 0)):
            check_whole(name, getattr(self, name), least=least)
        for name, choices in (("log", ("auto", "yes", "no")), ("anchor", ("auto", *ANCHORS))):
            if getattr(self, name) not in choices:
                raise ArgumentError(
                    f"{name} must be one of {', '.join(map(repr, choices))}",
                    got=repr(getattr(self, name)),
                    fix="Choose a name from the list.",
                )
