"""`ostinato evaluate MODEL DATA`: rolling-origin evaluation of a saved model."""

from __future__ import annotations

from pathlib import Path

import click

from ostinato._optional import require
from ostinato.cli.options import TABLES, check_target
from ostinato.data import write_table


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Write every forecast to a .csv or .parquet file.")
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
def command(model: Path, data: Path, out: Path | None, sha256: str | None) -> None:
    """Forecast the last steps of the series in DATA from many origins, beside naive rivals."""
    if out is not None:
        check_target(out, model, data, endings=TABLES)
    require("torch", purpose="to evaluate a model")
    from ostinato.tasks.forecast import Forecast

    found = Forecast.load(model, sha256=sha256).evaluate(str(data))
    click.echo(found.text())
    if out is not None:
        write_table(found.backtest, out)
