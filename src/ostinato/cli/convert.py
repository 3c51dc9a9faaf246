"""`ostinato convert MODEL OUT`: a saved model in another format."""

from __future__ import annotations

from pathlib import Path

import click

from ostinato.cli.options import check_target
from ostinato.errors import ArgumentError

_ENDINGS = {".onnx": "onnx"}


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--step", is_flag=True, help="ONNX: one step with states in and out, for streams.")
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
def command(source: Path, out: Path, *, step: bool, sha256: str | None) -> None:
    """Write a saved model in another format."""
    target = _ENDINGS.get(out.suffix.lower())
    if target is None:
        raise ArgumentError(
            f"the output must end in {', '.join(_ENDINGS)}", got=repr(out.name), fix="Rename it.", code="extension"
        )
    check_target(out, source)
    _onnx(source, out, step=step, sha256=sha256)


def _onnx(source: Path, out: Path, *, step: bool, sha256: str | None) -> None:
    from ostinato.convert.onnx.export import save_onnx
    from ostinato.runtime import load

    done = save_onnx(load(source, sha256=sha256), out, step=step)
    click.echo(f"{out}: {'one step of the model' if step else 'the model'} in ONNX")
    click.echo(f"  from {', '.join(done.inputs)} to {', '.join(done.outputs)}")
    click.echo(f"  {done.outside}")
    if done.difference is None:
        click.echo('  not checked, since ONNX Runtime is not installed: pip install "ostinato[onnx]"')
    else:
        click.echo(f"  checked with ONNX Runtime: largest difference {done.difference:.1e} (outputs up to 1)")
