"""A model as a folder: the model file, its manifest for people, and a card; as repositories of models have them."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ostinato.errors import ConversionError
from ostinato.maps._check import show
from ostinato.runtime.atomic import replace_file
from ostinato.runtime.bundle import Bundle, save
from ostinato.runtime.sequential_file import name_of

MODEL, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def save_folder(path: str | os.PathLike[str], bundle: Bundle) -> list[Path]:
    """Write a folder; `load(folder / "model.safetensors")` has the whole model back.

    Args:
        path: The folder, which is made if it does not exist.
        bundle: The model.

    Returns:
        The files.

    Raises:
        ConversionError: There is something else at `path`, or its folder does not exist.
    """
    folder = Path(path)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConversionError(
            "the output must be a folder that exists or can be made", got=f"{error.strerror}", where=ascii(str(folder)),
            fix="Choose another path.",
        ) from None  # fmt: skip
    save(folder / MODEL, bundle)
    manifest = msgspec.json.format(msgspec.json.encode(bundle.manifest), indent=2)
    replace_file(str(folder / CONFIG), [manifest + b"\n"])
    replace_file(str(folder / CARD), [_card(bundle).encode()])
    return [folder / name for name in (MODEL, CONFIG, CARD)]


def _card(bundle: Bundle) -> str:
    manifest = bundle.manifest
    numbers = sum(int(v.size) for w in bundle.weights for v in w.values())
    members = f", {manifest.members} networks" if manifest.members > 1 else ""
    layers = "\n".join(
        f"| {spec.name} | {' + '.join(c.kind for c in spec.cells) or spec.inner or spec.kind} |"
        for spec in manifest.layers
    )
    return f"""---
library_name: ostinato
tags: [recurrent-neural-network, {manifest.task}]
---
# {name_of(bundle)}

A model of the task `{manifest.task}`: input {show(tuple(manifest.input_shape))}, {numbers} numbers{members}.

| layer | kind |
|---|---|
{layers}

```python
from ostinato.runtime import load

model = load("{MODEL}")
```

`{CONFIG}` repeats the manifest of `{MODEL}` for people; only the latter is read.
"""
