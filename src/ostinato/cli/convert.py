"""`ostinato convert SOURCE OUT`: models to and from other formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ostinato.cli.options import check_target
from ostinato.errors import ArgumentError

if TYPE_CHECKING:
    from ostinato.convert.source import Source

_ENDINGS = {".onnx": "onnx", ".keras": "keras", ".h5": "h5", ".safetensors": "model"}
_H5 = ".weights.h5"
_AROUND = {"input": "input ", "then": "then ", "output": "output "}
"""What happens around a module of torch, and the words before it."""

_TO = ("onnx", "keras", "h5", "torch", "folder", "model")


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(_TO), help="The format; by default the ending of OUT says it.")
@click.option("--step", is_flag=True, help="ONNX: one step with states in and out, for streams.")
@click.option("--weights", type=click.Choice(("bf16", "int8")), help="Store matrices in 2 or 1 bytes a number.")
@click.option("--data", type=click.Path(path_type=Path), help="What to measure the cost of --weights on.")
@click.option("--targets", type=click.Path(path_type=Path), help="Of a Sequential: the targets for --data.")
@click.option("--sequences", is_flag=True, help="From torch: the last recurrent layer gives its outputs at all steps.")
@click.option("--nonlinearity", type=click.Choice(("tanh", "relu")), help="From torch: that of a torch.nn.RNN.")
@click.option("--into", type=click.Path(path_type=Path), help="From weights alone: a model of these layers.")
@click.option("--sha256", help="Refuse a model file with another SHA-256.")
def command(
    source: Path, out: Path, *, to: str | None, step: bool, weights: str | None, data: Path | None,
    targets: Path | None, **reading: Any,
) -> None:  # fmt: skip
    """Write a model in another format.

    SOURCE is a model file, a folder that --to folder wrote, a .keras or .h5 file of Keras, weights of Keras alone
    (.weights.h5, with a model of the same layers as --into), or a state_dict of torch in a .safetensors file (with
    --into likewise; without, of recurrent layers between an embedding and a linear one). OUT ends in .onnx, .keras,
    .weights.h5 (for Keras' load_weights) or .safetensors (a model file); --to torch writes a state_dict, --to folder a
    folder with a card.

    --weights makes a smaller model file, and prints what that costs on --data, in the figures of ostinato evaluate:
    of a table for a forecaster the last steps of each series are held out, a text for a generator, for a Sequential
    .npy files of inputs and of --targets. Without a table or targets only the outputs can be compared.
    """
    target = to or _ENDINGS.get(out.suffix.lower())
    if target is None:
        raise ArgumentError(
            f"the output must end in {', '.join(_ENDINGS)}",
            got=repr(out.name),
            fix="Rename it, or say the format with --to.",
            code="extension",
        )
    if step and target != "onnx":
        raise ArgumentError("step must only be given for ONNX", got=f"the format {target}", fix="Leave it out.")
    if (weights or data or targets) and (target != "model" or weights is None):
        raise ArgumentError(
            "weights must be given for a model file, data and targets only with them",
            got=f"the format {target}" if weights else "data or targets alone",
            fix="Leave the option out, or end the name in .safetensors.",
        )
    if target != "folder":
        check_target(out, source, data, targets)
    from ostinato.convert.source import read_source

    found = read_source(source, **reading)
    notes = [*found.notes, *_left_out(found, target)]
    if target == "onnx":
        lines = _onnx(found, out, step=step)
    elif weights:
        lines = _smaller(found, out, weights, data, targets)
    else:
        lines = _WRITERS[target](found, out)
    for line in lines:
        click.echo(line)
    for note in notes:
        click.echo(f"  {note}")


def _left_out(source: Source, target: str) -> list[str]:
    """What another format does not hold."""
    from ostinato.runtime.sequential_file import TASK, extras_of

    task = source.bundle.manifest.task
    if target in ("model", "folder") or (target == "onnx" and task != TASK):
        return []
    if task != TASK:
        return [f"the network alone: what the task {task} does around it (scaling, vocabulary) is not in the file"]
    if extras_of(source.bundle).stateful:
        return ["each call starts anew: that layers carry their states from batch to batch is not in the file"]
    return []


def _onnx(source: Source, out: Path, *, step: bool) -> list[str]:
    from ostinato.convert.onnx.export import save_onnx
    from ostinato.runtime.models import from_bundle

    done = save_onnx(from_bundle(source.bundle), out, step=step)
    check = f"checked with ONNX Runtime: largest difference {done.difference:.1e} (1 = the largest output)"
    return [
        f"{out}: {'one step of the model' if step else 'the model'} in ONNX",
        f"  from {', '.join(done.inputs)} to {', '.join(done.outputs)}",
        f"  {done.outside}",
        f"  {check}" if done.difference is not None else
        '  not checked, since ONNX Runtime is not installed: pip install "ostinato[onnx]"',
    ]  # fmt: skip


def _keras(source: Source, out: Path, *, ending: str = ".keras") -> list[str]:
    from ostinato.convert.keras.files import save_keras
    from ostinato.runtime.sequential_file import layers_of, name_of

    if not out.name.lower().endswith(ending):
        raise ArgumentError(f"the name must end in {ending} for Keras", got=repr(out.name), fix="Rename it.")
    bundle = source.bundle
    save_keras(out, layers_of(bundle), tuple(bundle.manifest.input_shape), name=name_of(bundle))
    return [f"{out}: for {'load_weights of the same layers' if ending == _H5 else 'load_model'} in Keras 3"]


def _h5(source: Source, out: Path) -> list[str]:
    return _keras(source, out, ending=_H5)


def _torch(source: Source, out: Path) -> list[str]:
    from ostinato.convert.tensors import write_tensors
    from ostinato.convert.torch import to_state_dict
    from ostinato.runtime.sequential_file import layers_of

    state = to_state_dict(layers_of(source.bundle), tuple(source.bundle.manifest.input_shape))
    write_tensors(out, state.tensors, state.metadata)
    lines = [f"{out}: a state_dict for torch, to be read with safetensors.torch.load_file"]
    for m in state.modules:
        arguments = ", ".join(f"{k}={v!r}" for k, v in m["arguments"].items())
        then = "".join(f"; {word}{m[key]}" for key, word in _AROUND.items() if key in m)
        lines.append(f"  {m['name']}: {m['module']}({arguments}){then}")
    return lines


def _folder(source: Source, out: Path) -> list[str]:
    from ostinato.convert.folder import save_folder

    files = save_folder(out, source.bundle)
    return [f"{out}: a folder with {', '.join(f.name for f in files)}"]


def _model(source: Source, out: Path) -> list[str]:
    from ostinato.runtime.bundle import save

    save(out, source.bundle)
    return [f"{out}: a model file, for load_model and ostinato.runtime.load"]


def _smaller(source: Source, out: Path, weights: str, data: Path | None, targets: Path | None) -> list[str]:
    from ostinato.convert.weights import save_smaller

    numbers = sum(int(v.nbytes) for w in source.bundle.weights for v in w.values())
    done = save_smaller(out, source.bundle, weights, data, targets)
    return [
        f"{out}: a model file with {weights} weights, {done.size} bytes (the weights alone had {numbers} in float32)",
        *(f"  cost: {line}" for line in done.cost),
    ]


_WRITERS = {"keras": _keras, "h5": _h5, "torch": _torch, "folder": _folder, "model": _model}
