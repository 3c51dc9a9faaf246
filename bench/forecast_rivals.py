"""Do default forecasts beat the rivals on the shipped series, whatever the seed?

Fits `Forecast` with nothing but a horizon, five seeds for each cell, and prints MAE on the held-out steps beside the
rivals (which have no seed).

    python bench/forecast_rivals.py
"""

from __future__ import annotations

import platform
import statistics
from pathlib import Path

import msgspec
import torch

from ostinato.data import Cleaning, examples
from ostinato.tasks.forecast import Forecast
from ostinato.tasks.training import Training
from ostinato.version import __version__

CASES = {"airline": 12, "co2": 26}
CELLS = ("lstm", "gru_reset_after")
SEEDS = range(5)


def main() -> None:
    """Fit, print and keep the result."""
    torch.set_num_threads(1)
    rows = []
    for name, horizon in CASES.items():
        for cell in CELLS:
            found = []
            for seed in SEEDS:
                task = Forecast(
                    horizon=horizon, cell=cell, cleaning=Cleaning(missing="mask"), training=Training(seed=seed)
                ).fit(examples.path(name))
                found.append(task.evaluate().scores)
            own = [scores[0].mae for scores in found]
            rivals = {score.name: score.mae for score in found[0][1:]}
            row = {
                "data": name, "horizon": horizon, "cell": cell, "mae": own, "mean": statistics.mean(own),
                "deviation": statistics.stdev(own), "coverage": [scores[0].coverage for scores in found],
                "rivals": rivals,
            }  # fmt: skip
            rows.append(row)
            print(
                f"{name:8} {cell:16} MAE {row['mean']:.4g} ± {row['deviation']:.2g}  ",
                "  ".join(f"{rival} {mae:.4g}" for rival, mae in rivals.items()),
                f"  wins {sum(mae < min(rivals.values()) for mae in own)} of {len(own)}",
                flush=True,
            )
    found_all = {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}",
        "torch": str(torch.__version__),
        "ostinato": __version__,
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "forecast_rivals.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found_all), indent=2) + b"\n")


if __name__ == "__main__":
    main()
