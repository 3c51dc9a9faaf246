"""Timing of several sides in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

ROUNDS = 15
"""At least so many."""

SECONDS = 0.8
"""More of them, up to MOST, while a row takes less time than this."""
MOST = 60

PAUSE = 0.005
"""Seconds between two sides. Threads of torch, ONNX Runtime and XLA spin for a while after each call, in the hope of
the next one, and take a core from whoever comes next; after this they sleep."""

WARM, TURN = 2e-3, 2e-3
"""After the pause a side calls for so many seconds unmeasured, until threads, caches and clock are its own again; then
its turn lasts at least so many seconds."""

LONG = 0.02
"""A call of so many seconds is a turn by itself and needs no warming."""

Call = Callable[[], Any]


def seconds(call: Call, repeat: int) -> float:
    """Seconds a call, over `repeat` calls."""
    began = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - began) / repeat


def turn(call: Call, once: float, pause: float) -> float:
    """Seconds a call in one turn of a side, of which a call takes about `once`."""
    time.sleep(pause)
    if once < LONG:
        seconds(call, max(1, int(WARM / once)))
    return seconds(call, max(1, min(10_000, int(TURN / once))))


def about(call: Call) -> float:
    """Roughly the seconds of a call."""
    call()
    return max(1e-7, min(seconds(call, 1) for _ in range(3)))


def fastest(ways: dict[str, Call], pause: float = PAUSE) -> str:
    """Which of several ways of one side to take, by the best of five turns each (of two, if they are long)."""
    if len(ways) == 1:
        return next(iter(ways))
    best = {name: about(call) for name, call in ways.items()}
    turns = 2 if max(best.values()) > LONG else 5
    found = {name: min(turn(ways[name], once, pause) for _ in range(turns)) for name, once in best.items()}
    return min(found, key=lambda name: found[name])


def compare(sides: dict[str, Call], pause: float = PAUSE) -> dict[str, list[float]]:
    """Seconds of each side in each round; each round begins with another side."""
    once = {name: about(call) for name, call in sides.items()}
    a_round = sum(max(s, TURN + WARM) + pause for s in once.values())
    names = list(sides)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(max(ROUNDS, min(MOST, int(SECONDS / a_round)))):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            times[name].append(turn(sides[name], once[name], pause))
    return times


def least(call: Call, calls: int = 200, rounds: int = 400) -> float:
    """Seconds a call, the least of many short rounds."""
    return min(seconds(call, calls) for _ in range(rounds))
