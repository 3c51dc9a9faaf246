"""`ostinato evaluate MODEL DATA`: how good a saved model is on data that it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from ostinato._optional import require
from ostinato.cli.options import TABLES, check_target
from ostinato.data import write_table
from ostinato.errors import ArgumentError
from ostinato.runtime import Generator, load


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
    well it knows the text: perplexity and bits a character.
    """
    if out is not None:
        check_target(out, model, *data, endings=TABLES)
    found = load(model, sha256=sha256)
    if isinstance(found, Generator):
        if out is not None:
            raise ArgumentError("out must only be given for forecasts", got=str(out), fix="Leave it out.")
        f = found.evaluate([str(path) for path in data], errors=errors or "strict")
        bits = "" if f.bits is None else f", {f.bits:.3f} bits a character"
        unknown = f", {f.unknown} of them unknown, which count as one symbol" if f.unknown else ""
        click.echo(f"{f.nats:.4f} nats a symbol, perplexity {f.perplexity:.2f}{bits} ({f.symbols} symbols{unknown})")
        return
    if errors is not None:
        raise ArgumentError("errors must only be given for texts", got=repr(errors), fix="Leave it out.")
    if len(data) > 1:
        raise ArgumentError("data must be one file", got=f"{len(data)} files", fix="Pass one table.")
    require("torch", purpose="to evaluate a model")
    from ostinato.tasks.forecast import Forecast

    backtest = Forecast.load(model, sha256=sha256).evaluate(str(data[0]))
    click.echo(backtest.text())
    if out is not None:
        write_table(backtest.backtest, out)
