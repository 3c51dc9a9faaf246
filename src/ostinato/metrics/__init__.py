"""Metrics and forecasting rivals, on NumPy alone."""

from ostinato.metrics.intervals import coverage, crps, interval_score, mean_width
from ostinato.metrics.labels import (
    Confusion,
    PerClass,
    accuracy,
    confusion,
    f1,
    log_loss,
    per_class,
    precision,
    recall,
    top_k,
)
from ostinato.metrics.points import mae, mape, mase, mase_scale, mse, quantile_loss, r2, rmse, smape
from ostinato.metrics.rivals import Rival, drift, naive, seasonal_naive, theta

__all__ = [
    "Confusion",
    "PerClass",
    "Rival",
    "accuracy",
    "confusion",
    "coverage",
    "crps",
    "drift",
    "f1",
    "interval_score",
    "log_loss",
    "mae",
    "mape",
    "mase",
    "mase_scale",
    "mean_width",
    "mse",
    "naive",
    "per_class",
    "precision",
    "quantile_loss",
    "r2",
    "recall",
    "rmse",
    "seasonal_naive",
    "smape",
    "theta",
    "top_k",
]
