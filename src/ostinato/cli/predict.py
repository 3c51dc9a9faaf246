"""`ostinato predict MODEL [DATA]`: run a saved model. Needs no torch."""

from __future__ import annotations

from pathlib import Path

import click

from ostinato.cli.options import TABLES, check_target
from ostinato.data import write_table
from ostinato.errors import ModelFileError
from ostinato.runtime import Forecaster, Generator, load


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--out", "-o", type=click.Path(path_type=Path), help="A .csv or .parquet file; else CSV is printed.")
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
def command(model: Path, data: Path | None, out: Path | None, sha256: str | None) -> None:
    """Forecast with a saved model.

    Continues the series in DATA, read as in training, or without DATA those that the model was trained on.
    """
    if out is not None:
        check_target(out, model, data, endings=TABLES)
    forecaster = load(model, sha256=sha256)
    if not isinstance(forecaster, Forecaster):
        writes = isinstance(forecaster, Generator)
        raise ModelFileError(
            "the model must be one that was made by `ostinato fit forecast`",
            got="a generator" if writes else "a Sequential model",
            fix="Use `ostinato generate`." if writes else "Use load_model(path).predict(x) in Python.",
            code="task",
        )
    table = forecaster.predict(None if data is None else str(data))
    if out is None:
        click.echo(table.csv_text(), nl=False)
    else:
        write_table(table, out)
