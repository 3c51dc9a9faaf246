"""Writes small model files for fuzzers to begin with: the attacks, and networks of every cell and map, in every type.

python -m tests.fuzz.seeds FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.attacks.build import forecast, generate, model
from tests.attacks.make_attacks import ATTACKS
from tests.unit.runtime.networks import network

from ostinato.cells import CELLS
from ostinato.maps import MAPS
from ostinato.maps.base import Part, Shape
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.runtime import bundle
from ostinato.runtime.sequential_file import Named, to_bundle
from ostinato.runtime.small_weights import STORES
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

LARGEST = 6000
"""Most bytes of a seed: small ones are quick to read."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "activation": {"activation": "elu"}, "activity_penalty": {"alpha": 0.5}, "dense": {"units": 2},
    "attention": {"query": "learned", "use_scale": True}, "conv1d": {"filters": 2, "kernel_size": 2},
    "dropout": {"rate": 0.5}, "embedding": {"input_dim": 4, "output_dim": 2}, "repeat_vector": {"n": 2},
    "reshape": {"target_shape": (3, 2)}, "unembedding": {"units": 2},
}  # fmt: skip
_SHAPES: dict[str, Shape] = {"embedding": (None,), "repeat_vector": (3,)}


def networks() -> dict[str, tuple[list[Part], Shape]]:
    """Layers and the shape of their input, by name."""
    found: dict[str, tuple[list[Part], Shape]] = {}
    for name, cell in CELLS.items():
        found[name] = ([Recurrent(cell(2), return_sequences=True, start="learned", zoneout=0.25)], (None, 2))
    for name, part in MAPS.items():
        if part is not TimeDistributed:
            found[name] = ([part(**_OPTIONS.get(name, {}))], _SHAPES.get(name, (2, 3)))
    one, other = Recurrent(CELLS["lstm"](2)), Recurrent(CELLS["gru"](2), reverse=True)
    found["both_ways"] = ([Bidirectional(one, "sum", other)], (None, 2))
    found["each_step"] = ([TimeDistributed(MAPS["dense"](2)), MAPS["masking"](), one], (None, 2))
    gru = Recurrent(CELLS["gru"](2, recurrent_activation="elu"), return_sequences=True)
    symbols = [MAPS["embedding"](4, 2, mask_zero=True), MAPS["dropout"](0.5), MAPS["dense"](3, "elu", use_bias=False)]
    rest = [gru, MAPS["activation"]("relu"), MAPS["layer_norm"](), one, MAPS["dense"](2)]
    found["symbols"] = ([*symbols, *rest], (None,))
    simple = [Recurrent(CELLS["simple_rnn"](2, name), return_sequences=True) for name in ("relu", "elu")]
    found["masked"] = ([MAPS["masking"](0.5), *simple, TimeDistributed(MAPS["reshape"]((2,))), one], (None, 2))
    return found


def main(folder: str) -> None:
    """Write all seeds into `folder`."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    files = {name: make()[1] for name, make in ATTACKS.items()}
    files |= {"model": model(), "forecast": forecast(), "generate": generate()}
    for name, data in files.items():
        if len(data) <= LARGEST:
            (target / name).write_bytes(data)
    for name, (parts, shape) in networks().items():
        net = network(parts, shape)
        layers = [Named(f"l{i}", *one) for i, one in enumerate(zip(net.parts, net.weights, strict=True))]
        for store in STORES:
            bundle.save(target / f"{name}_{store}", to_bundle(layers, shape, name="n"), store=store)


if __name__ == "__main__":
    main(sys.argv[1])
