"""`ostinato generate MODEL`: go on with a text or a tune. Needs no torch."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ostinato.cli.options import check_target
from ostinato.data.inputs import decode_strictly, one_line_end
from ostinato.data.vocabularies._text import TextVocabulary
from ostinato.errors import ArgumentError, DataError, ModelFileError
from ostinato.runtime import Forecaster, Generator, load, precision_cost
from ostinato.runtime.atomic import replace_file
from ostinato.runtime.decode import Sampling
from ostinato.runtime.native import PRECISIONS


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--prime",
    "-p",
    default="",
    help="What to go on with: a text, or for music a MIDI file; - reads either from standard input.",
)
@click.option("--length", "-n", type=int, default=500, show_default=True, help="Most symbols.")
@click.option(
    "--temperature",
    "-t",
    type=float,
    default=1.0,
    show_default=True,
    help="0 takes the most probable symbol, 1 draws as the model says.",
)
@click.option("--top-k", type=int, default=0, help="Draw among the k most probable symbols; 0 for all.")
@click.option("--top-p", type=float, default=1.0, help="Draw among the most probable that hold this share; 1 for all.")
@click.option("--repetition-penalty", type=float, default=1.0, help="Above 1: what came before comes less often.")
@click.option("--seed", type=int, help="The same seed draws the same symbols.")
@click.option(
    "--beam",
    type=click.IntRange(0, 1024),
    default=0,
    help="Search for the most probable text, following so many at once.",
)
@click.option("--count", "-c", type=int, default=1, help="So many texts, each on a line of its own.  [default: 1]")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Write it to this file; needed for music.")
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="What recurrent layers multiply in. bf16 reads the result again in float32, and prints the difference.",
)
def command(*, model: Path, prime: str, length: int, beam: int, count: int, out: Path | None, sha256: str | None,
            precision: str, **sampling: float) -> None:  # fmt: skip
    """Go on with a text, shown as it is drawn, or with a tune."""
    if out is not None:
        check_target(out, model)
    generator = load(model, sha256=sha256, precision=precision)
    if not isinstance(generator, Generator):
        raise ModelFileError(
            "the model must be one that was made by `ostinato fit generate`",
            got="a forecaster" if isinstance(generator, Forecaster) else "a Sequential model",
            fix="Use `ostinato predict`.",
            code="task",
        )
    how = Sampling(**sampling)  # type: ignore[arg-type]
    text = isinstance(generator.vocabulary, TextVocabulary)
    if not text and out is None:
        raise ArgumentError("music must be written to a file", got="no file", fix="Pass --out, say --out tune.mid.")
    _check_count(count, drawn=text and not beam)
    given = _prime(prime, text=text)
    ids = generator.ids(given)[1:]
    unknown = generator.vocabulary.count_unknown(ids)
    if unknown:
        click.echo(f"ostinato: note: the model does not know {unknown} of the prime's {len(ids)} symbols.", err=True)
    if text and not beam and out is None:
        for one in _each(how, count):
            _say_cost(generator, _show(generator, given, length, one))
        return
    if beam:
        found: list[Any] = [generator.beams(given, length=length, width=beam)[0].text]
    else:
        found = [generator.generate(given, length=length, sampling=one) for one in _each(how, count)]
    if out is None:
        click.echo(found[0])
    else:
        data = "\n".join(found).encode() if text else found[0]
        if out.is_file() or not out.exists():
            replace_file(str(out), [data])
        else:  # a pipe or a device
            out.write_bytes(data)
    for written in found:
        _say_cost(generator, written)


def _check_count(count: int, *, drawn: bool) -> None:
    if count < 1:
        raise ArgumentError("count must be a whole number of at least 1", got=str(count), fix="Pass, say, 10.")
    if count > 1 and not drawn:
        raise ArgumentError(
            "count must be 1 for music, and for a search, which finds one text", got=str(count), fix="Leave it out."
        )


def _each(how: Sampling, count: int) -> list[Sampling]:
    """How each of several texts is drawn: with seeds that follow each other, so that any of them can be drawn again."""
    return [replace(how, seed=None if how.seed is None else how.seed + k) for k in range(count)]


def _show(generator: Generator, given: str, length: int, how: Sampling) -> str:
    """Show a text as it is drawn; returns it."""
    pieces = generator.pieces(given, length=length, sampling=how)  # which checks them before anything is shown
    shown = [given]
    click.echo(given, nl=False)
    for piece in pieces:
        click.echo(piece, nl=False)
        shown.append(piece)
    click.echo()
    return "".join(shown)


def _prime(told: str, *, text: bool) -> Any:
    """The prime: what was told, or read from standard input; a text, or for music a file's name or bytes."""
    if told != "-":
        if not text:
            return told
        return decode_strictly(
            os.fsencode(told), what="the prime", where="--prime", fix="Use a terminal that writes UTF-8."
        )
    data = sys.stdin.buffer.read()
    if not data:
        raise DataError(
            "standard input must hold the prime", got="nothing", fix="Leave --prime out to begin anew.", code="empty"
        )
    if not text:
        return data
    fix = "Convert it, say with iconv -f latin1 -t utf-8."
    return one_line_end(decode_strictly(data, what="the prime", where="standard input", fix=fix))


def _say_cost(generator: Generator, written: Any) -> None:
    """What another precision than float32 changes in the text that was written."""
    if generator.precision != "float32" and written:
        from ostinato.convert.cost import without_truth

        difference = str(precision_cost(generator, written, precision=generator.precision))
        for line in without_truth(difference, "the model wrote this itself"):
            click.echo(f"ostinato: {generator.precision}, nats of each symbol: {line}", err=True)
