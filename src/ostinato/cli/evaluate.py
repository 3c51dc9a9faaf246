"""`ostinato evaluate MODEL DATA`: how good a saved model is on data that it has not seen. Tasks need no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ostinato._optional import require
from ostinato.cli.options import TABLES, check_target
from ostinato.data import read_array, write_table
from ostinato.errors import ArgumentError
from ostinato.runtime import Generator, Network, load


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Write every forecast to a .csv or .parquet file.")
@click.option(
    "--errors",
    type=click.Choice(["strict", "replace"]),
    help="Of texts: strict, the default, refuses bytes that are not UTF-8; replace reads them as U+FFFD.",
)
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
def command(
    *, model: Path, data: tuple[Path, ...], out: Path | None,
    errors: Literal["strict", "replace"] | None, sha256: str | None,
) -> None:  # fmt: skip
    """Measure a saved model on DATA.

    A forecaster forecasts the last steps of the series from many origins, beside naive rivals. A generator says how
    well it knows the text: perplexity and bits a character. A Sequential gives its loss and the metrics that it was
    compiled with; DATA are then two files, of inputs and of targets: x.npy y.npy.
    """
    if out is not None:
        check_target(out, model, *data, endings=TABLES)
    found = load(model, sha256=sha256)
    if isinstance(found, Generator):
        _check_no_table(out)
        f = found.evaluate([str(path) for path in data], errors=errors or "strict")
        bits = "" if f.bits is None else f", {f.bits:.3f} bits a character"
        unknown = f", {f.unknown} of them unknown, which count as one symbol" if f.unknown else ""
        click.echo(f"{f.nats:.4f} nats a symbol, perplexity {f.perplexity:.2f}{bits} ({f.symbols} symbols{unknown})")
        return
    if errors is not None:
        raise ArgumentError("errors must only be given for texts", got=repr(errors), fix="Leave it out.")
    if isinstance(found, Network):
        _check_no_table(out)
        _sequential(model, data)
        return
    if len(data) > 1:
        raise ArgumentError("data must be one file", got=f"{len(data)} files", fix="Pass one table.")
    from ostinato.tasks.forecast import Forecast

    backtest = Forecast.load(model, sha256=sha256).evaluate(str(data[0]))
    click.echo(backtest.text())
    if out is not None:
        write_table(backtest.backtest, out)


def _check_no_table(out: Path | None) -> None:
    if out is not None:
        raise ArgumentError("out must only be given for forecasts", got=str(out), fix="Leave it out.")


def _sequential(model: Path, data: tuple[Path, ...]) -> None:
    """Print the loss and the metrics of a `Sequential`, a line each."""
    if len(data) != 2:
        raise ArgumentError(
            "a Sequential must be given two files, inputs and targets", got=f"{len(data)}",
            fix="Write them with numpy.save, and pass x.npy y.npy.",
        )  # fmt: skip
    x, y = (read_array(path) for path in data)
    require("torch", purpose="to evaluate a Sequential")
    from ostinato.models.loading import load_model

    figures = load_model(model).evaluate(x, y, return_dict=True)
    for name, value in figures.items():
        click.echo(f"{name} {value:.6g}")
