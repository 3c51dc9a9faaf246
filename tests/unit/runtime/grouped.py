"""Records answered in groups, as a command that finds several lines waiting does."""

from __future__ import annotations


def at_once(records, given, size):
    """The answers to groups of `size` records, or what is wrong with them."""
    said = []
    for first in range(0, len(given), size):
        rest = given[first : first + size]
        while rest:
            answers, error = records.answers(rest)
            said += [*answers, *([str(error)] if error else [])]
            rest = rest[len(answers) + (error is not None) :]
    return said
