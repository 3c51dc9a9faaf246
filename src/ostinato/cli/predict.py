"""`ostinato predict MODEL [DATA]`: run a saved model. Needs no torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import click

from ostinato.cli.options import TABLES, check_target
from ostinato.data import write_table
from ostinato.errors import DataWarning, ModelFileError
from ostinato.runtime import Forecaster, Generator, load, precision_cost
from ostinato.runtime.native import PRECISIONS


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--out", "-o", type=click.Path(path_type=Path), help="A .csv or .parquet file; else CSV is printed.")
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="What recurrent layers multiply in. bf16 computes in float32 too, and prints the difference on stderr.",
)
def command(model: Path, data: Path | None, out: Path | None, sha256: str | None, precision: str) -> None:
    """Forecast with a saved model.

    Continues the series in DATA, read as in training, or without DATA those that the model was trained on.
    """
    if out is not None:
        check_target(out, model, data, endings=TABLES)
    forecaster = load(model, sha256=sha256, precision=precision)
    if not isinstance(forecaster, Forecaster):
        writes = isinstance(forecaster, Generator)
        raise ModelFileError(
            "the model must be one that was made by `ostinato fit forecast`",
            got="a generator" if writes else "a Sequential model",
            fix="Use `ostinato generate`." if writes else "Use load_model(path).predict(x) in Python.",
            code="task",
        )
    panel = None if data is None else forecaster.read(str(data))
    table = forecaster.predict(panel)
    if precision != "float32":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # said by `predict` already
            cost = precision_cost(forecaster, panel, precision=precision)
        click.echo(f"ostinato: {precision}: {cost}", err=True)
    if out is None:
        click.echo(table.csv_text(), nl=False)
    else:
        write_table(table, out)
