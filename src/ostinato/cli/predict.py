"""`ostinato predict MODEL [DATA]`: run a saved model on a file. Needs no torch."""

from __future__ import annotations

import io
import warnings
from copy import copy
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from ostinato.cli.options import TABLES, check_target
from ostinato.data import Table, read_array, write_table
from ostinato.errors import ArgumentError, DataWarning, ModelFileError
from ostinato.runtime import Forecaster, Generator, Network, load, precision_cost
from ostinato.runtime.atomic import replace_file
from ostinato.runtime.native import PRECISIONS

_ARRAY = ".npy"


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    help="A .csv or .parquet file, of a Sequential also .npy; else CSV is printed.",
)
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="What recurrent layers multiply in. bf16 computes in float32 too, and prints the cost on stderr.",
)
def command(model: Path, data: Path | None, out: Path | None, sha256: str | None, precision: str) -> None:
    """Run a saved model on a file.

    A forecaster continues the series in DATA, read as in training, or without DATA those that it was trained on. A
    Sequential computes its outputs for DATA, a .npy file of inputs.
    """
    found = load(model, sha256=sha256, precision=precision)
    if isinstance(found, Generator):
        raise ModelFileError(
            "the model must be a forecaster or a Sequential", got="a generator", fix="Use `ostinato generate`.",
            code="task",
        )  # fmt: skip
    if out is not None:
        check_target(out, model, data, endings=TABLES if isinstance(found, Forecaster) else (*TABLES, _ARRAY))
    given = _given(found, data)
    result: Any = found.predict(given)
    if precision != "float32":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # said by `predict` already
            difference = str(precision_cost(found, given, precision=precision))
        for line in _cost(found, given, difference, model, sha256):
            click.echo(f"ostinato: {precision}: {line}", err=True)
    if out is not None and out.suffix.lower() == _ARRAY:
        buffer = io.BytesIO()
        np.save(buffer, result, allow_pickle=False)
        replace_file(str(out), [buffer.getvalue()])
        return
    table = result if isinstance(found, Forecaster) else _table(result)
    if out is None:
        click.echo(table.csv_text(), nl=False)
    else:
        write_table(table, out)


def _cost(found: Forecaster | Network, given: Any, difference: str, path: Path, sha256: str | None) -> list[str]:
    """What another precision than float32 costs, in lines: by the last steps of the series, if any were given."""
    from ostinato.convert import cost

    if isinstance(found, Network):
        return cost.without_truth(difference, "a file of inputs holds no targets")
    if given is None:
        return cost.without_truth(difference, cost.NO_VALUES)
    from ostinato.tasks.forecast import Forecast

    exact = Forecast.load(path, sha256=sha256)
    rough = copy(exact)
    rough.forecaster_ = found
    return cost.of_forecasts(exact, rough, given, difference)


def _given(model: Forecaster | Network, data: Path | None) -> Any:
    if isinstance(model, Forecaster):
        return None if data is None else model.read(str(data))
    if data is None:
        raise ArgumentError(
            "a Sequential must be given its inputs", got="no file",
            fix="Write them with numpy.save('x.npy', x), and pass x.npy.",
        )  # fmt: skip
    return read_array(data)


def _table(y: NDArray[np.float32]) -> Table:
    """Outputs `[row, …, y]` with a row of the table for each sample, or for each of its steps."""
    *places, width = y.shape if y.ndim > 1 else (*y.shape, 1)
    if len(places) > 2:
        raise ArgumentError(
            "a table must have at most two places for a number, row and step", got=f"outputs of shape {y.shape}",
            fix="Pass --out with a name that ends in .npy.",
        )  # fmt: skip
    at = np.indices(places).reshape(len(places), -1)
    flat = y.reshape(at.shape[1], width)
    names = ["y"] if width == 1 else [f"y{i}" for i in range(width)]
    return Table({**dict(zip(("row", "step"), at, strict=False)), **dict(zip(names, flat.T, strict=True))})
