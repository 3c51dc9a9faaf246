"""Metrics, and the rivals of forecasts and of language models, on NumPy alone."""

from ostinato.metrics.compressor import Compressed, compressed
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
from ostinato.metrics.ngram import NGram
from ostinato.metrics.points import mae, mape, mase, mase_scale, mse, quantile_loss, r2, rmse, smape
from ostinato.metrics.rivals import Rival, drift, naive, seasonal_naive, theta
from ostinato.metrics.text import bits_per_byte, bits_per_character, bits_per_token, perplexity, surprise

__all__ = [
    "Compressed",
    "Confusion",
    "NGram",
    "PerClass",
    "Rival",
    "accuracy",
    "bits_per_byte",
    "bits_per_character",
    "bits_per_token",
    "compressed",
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
    "perplexity",
    "precision",
    "quantile_loss",
    "r2",
    "recall",
    "rmse",
    "seasonal_naive",
    "smape",
    "surprise",
    "theta",
    "top_k",
]
