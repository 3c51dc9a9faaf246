"""Make torch.json: results and gradients of torch's recurrent modules. Run: pip install torch, then this file.

Two layers, both directions, two sequences of unequal length, random weights and start states that all differ, float64.
The gradients are those of a sum in which the k-th number of the outputs counts k + 1 times, and final states likewise.
"""

import json
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FEATURES, UNITS, LENGTHS = 2, 2, [3, 4]
MODULES = {
    "RNN": (nn.RNN, {}),
    "RNN relu": (nn.RNN, {"nonlinearity": "relu"}),
    "LSTM": (nn.LSTM, {}),
    "GRU": (nn.GRU, {}),
}


def counted(values):
    """The sum in which the k-th number counts k + 1 times."""
    return (values * torch.arange(1.0, values.numel() + 1, dtype=values.dtype).view_as(values)).sum()


def measure(module, x, states):
    """Results and gradients by name, for padded `x [batch, time, feature]` and its `LENGTHS`."""
    x = x.clone().requires_grad_()
    states = [s.clone().requires_grad_() for s in states]
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    y, final = module(packed, tuple(states) if len(states) > 1 else states[0])
    final = final if isinstance(final, tuple) else (final,)
    y = pad_packed_sequence(y, batch_first=True)[0]
    leaves = {"x": x, **{f"start {k}": s for k, s in enumerate(states)}, **dict(module.named_parameters())}
    slopes = torch.autograd.grad(counted(y) + sum(counted(s) for s in final), list(leaves.values()))
    results = {"y": y, **{f"final {k}": s for k, s in enumerate(final)}}
    results |= {f"gradient of {name}": g for name, g in zip(leaves, slopes, strict=True)}
    return {name: value.detach().tolist() for name, value in results.items()}


def main():
    """Write torch.json."""
    generator = torch.Generator().manual_seed(20)
    cases = []

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for name, (cls, options) in MODULES.items():
        module = cls(FEATURES, UNITS, num_layers=2, bidirectional=True, dtype=torch.float64, **options)
        with torch.no_grad():
            for weight in module.parameters():
                weight.copy_(0.6 * draw(*weight.shape))
        x = draw(len(LENGTHS), max(LENGTHS), FEATURES)
        states = [draw(4, len(LENGTHS), UNITS) for _ in range(2 if name == "LSTM" else 1)]
        cases.append(
            {
                "name": name,
                "x": x.tolist(),
                "states": [s.tolist() for s in states],
                "weights": {key: w.tolist() for key, w in module.state_dict().items()},
                "results": measure(module, x, states),
            }
        )
    head = json.dumps({"made_by": {"torch": version("torch")}, "lengths": LENGTHS})[:-1]
    lines = ",\n".join(json.dumps(case) for case in cases)
    Path(__file__).with_name("torch.json").write_text(f'{head}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
