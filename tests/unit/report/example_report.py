"""A made-up but likely forecast report, for the tests of this folder."""

import datetime

import numpy as np


def months(n, *, first=1949):
    return [datetime.date(first + i // 12, i % 12 + 1, 1).isoformat() for i in range(n)]


def bands(median, *, spread):
    return {level: (median - z * spread, median + z * spread) for level, z in ((80, 1.28), (95, 1.96))}


def example(n_series=1, *, n=144, h=12):
    rng = np.random.default_rng(3)
    forecast, backtest = [], []
    for place in range(n_series):
        t = np.arange(n + h)
        values = (110 + 2.6 * t) * (1 + 0.22 * np.sin(2 * np.pi * (t - 3) / 12)) + rng.normal(size=n + h) * 7
        values *= 1 + place
        growth = (6 + place * 5) * np.sqrt(np.arange(1, h + 1))
        times, name = months(n + h), "passengers" if n_series == 1 else f"route {place + 1}"
        median = values[n:] + rng.normal(size=h) * 6
        forecast.append({
            "id": name,
            "times": times[:n],
            "history": values[:n],
            "future_times": times[n:],
            "median": median,
            "bands": bands(median, spread=growth),
        })  # fmt: skip
        cutoffs = []
        for start in range(n - 3 * h, n, h):
            middle = values[start : start + h] + rng.normal(size=h) * 8
            cutoffs.append({
                "times": times[start : start + h],
                "median": middle,
                "bands": bands(middle, spread=growth),
            })  # fmt: skip
        backtest.append(
            {"id": name, "times": times[n - 5 * h : n], "actual": values[n - 5 * h : n], "cutoffs": cutoffs}
        )
    steps = np.arange(1, h + 1)
    epochs = np.arange(1, 121)
    score = [("network (lstm)", 14.2, 18.81, 3.05, 0.46), ("theta", 21.9, 27.4, 4.81, 0.71)]
    score += [("seasonal naive", 46.55, 49.2, 10.2, 1.51), ("drift", 74.9, 91.3, 17.0, 2.43)]
    score += [("naive", 76.0, 102.98, 17.5, 2.47)]
    rows = [dict(zip(("name", "mae", "rmse", "smape", "mase"), row, strict=True)) for row in score]
    for place, row in enumerate(rows):
        row["coverage"] = {80: 0.8 - 0.03 * place, 95: 0.93 - 0.04 * place}
    return {
        "title": "Forecast of passengers, 12 months ahead",
        "verdict": "The network wins: MAE 14.2 against 21.9 for theta, the best rival (35 % less).",
        "made_with": {
            "versions": {"ostinato": "0.1.0", "torch": "2.13.0", "numpy": "2.4.0"},
            "seed": 0,
            "command": "ostinato fit forecast airline.csv --horizon 12 --out model.safetensors --report report.html",
        },
        "data": {
            "n_series": n_series,
            "n_rows": n * n_series,
            "freq": "monthly",
            "first": "1949-01",
            "last": "1960-12",
            "treatments": ["2 missing months were marked as missing (1953-02, 1957-08).", "Logarithms were taken."],
        },
        "scores": {
            "rows": rows,
            "n_windows": 3,
            "horizon": h,
        },
        "by_horizon": {
            "network (lstm)": (10 + 0.7 * steps).tolist(),
            "theta": (13 + 1.4 * steps).tolist(),
            "seasonal naive": (44 + 0.4 * steps + 3 * np.sin(steps)).tolist(),
            "drift": (30 + 7 * steps + 12 * np.sin(steps / 2)).tolist(),
            "naive": (31 + 7.1 * steps + 12 * np.sin(steps / 2)).tolist(),
        },
        "forecast": forecast,
        "backtest": backtest,
        "training": {
            "epochs": 120,
            "train_loss": (0.9 * np.exp(-epochs / 18) + 0.05).tolist(),
            "valid_loss": (0.8 * np.exp(-epochs / 20) + 0.09 + 0.0004 * np.maximum(epochs - 80, 0)).tolist(),
            "best_epoch": 84,
        },
        "model": [
            {"layer": "Input", "output": "(24, 3)", "parameters": 0},
            {"layer": "LSTM", "output": "(64,)", "parameters": 17408},
            {"layer": "Dense", "output": "(12, 5)", "parameters": 3900},
        ],
        "choices": [
            {"what": "season", "chosen": 12, "why": "The data is monthly."},
            {"what": "transform", "chosen": "log", "why": "All values are positive; the spread grows with the level."},
            {"what": "input length", "chosen": 24, "why": "Two seasons; the series is long enough for 90 windows."},
        ],
        "notes": ["The bands come from the network's own quantiles."],
        "unit": "passengers, thousands",
    }  # fmt: skip
