"""The metrics of the Keras face against what they say in words."""

from __future__ import annotations

import numpy as np
import pytest

from ostinato import Sequential
from ostinato.errors import ArgumentError
from ostinato.layers import Activation, Masking
from ostinato.models import figures

RNG = np.random.default_rng(5)
Y = RNG.uniform(size=(9, 4)).astype(np.float32)
HITS = (RNG.uniform(size=(9, 4)) < 0.4).astype(np.float32)
CLASSES = RNG.integers(0, 4, 9)


def evaluate(metric, target, loss="bce", x=Y):
    """The figure of a model that gives its input back."""
    made = Sequential([Activation("linear", input_shape=x.shape[1:])])
    made.compile("sgd", loss, [metric])
    return made.evaluate(x, target, batch_size=2, verbose=0)[1]


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_precision_and_recall(threshold):
    said = threshold < Y
    both = (said & (HITS > 0)).sum()
    options = {} if threshold == 0.5 else {"threshold": threshold}
    assert evaluate(figures.Precision(**options), HITS) == pytest.approx(both / said.sum())
    assert evaluate(figures.Recall(**options), HITS) == pytest.approx(both / HITS.sum())
    assert evaluate(figures.BinaryAccuracy(**options), HITS) == pytest.approx((said == HITS).mean())
    assert evaluate("precision", HITS) == pytest.approx(((Y > 0.5) & (HITS > 0)).sum() / (Y > 0.5).sum())


def test_nothing_found_and_nothing_to_find_is_0():
    assert evaluate(figures.Precision(threshold=2.0), HITS) == 0.0
    assert evaluate("recall", 0 * HITS) == 0.0


def test_accuracies_of_classes():
    p, one_hot = Y / Y.sum(-1, keepdims=True), np.eye(4, dtype=np.float32)[CLASSES]
    right = (Y.argmax(-1) == CLASSES).mean()
    assert evaluate("accuracy", one_hot, "categorical_crossentropy", p) == pytest.approx(right)
    assert evaluate("acc", CLASSES, "sparse_categorical_crossentropy", p) == pytest.approx(right)
    for k in (1, 2, 4, 9):
        among = (np.argsort(-Y, -1)[:, :k] == CLASSES[:, None]).any(-1).mean()
        top = figures.TopKCategoricalAccuracy(k)
        assert evaluate(top, one_hot, "categorical_crossentropy", p) == pytest.approx(among)
        assert evaluate(top, CLASSES, "sparse_categorical_crossentropy", p) == pytest.approx(among)


def test_roots_and_losses():
    assert evaluate("rmse", HITS, "mse") == pytest.approx(np.sqrt(((Y - HITS) ** 2).mean()))
    assert evaluate("MeanAbsoluteError", HITS, "mse") == pytest.approx(np.abs(Y - HITS).mean())
    assert evaluate(figures.from_loss("hinge"), HITS, "mse") == pytest.approx(evaluate("hinge", HITS, "mse"))


def test_a_function_of_ones_own():
    def largest(target, y):
        return (y - target).abs().amax(-1)

    assert evaluate(largest, HITS, "mse") == pytest.approx(np.abs(Y - HITS).max(-1).mean())
    assert evaluate(lambda t, y: (y - t).abs().max(), HITS[:2], "mse", Y[:2]) == pytest.approx(
        np.abs(Y - HITS)[:2].max()
    )
    with pytest.raises(ArgumentError, match="must return a tensor"):
        evaluate(lambda t, y: 1.0, HITS, "mse")


def test_steps_that_are_not_real_do_not_count():
    x = np.stack([Y[:4, :2], Y[4:8, 2:]])
    x[1, 2:] = 0.0
    target = (x > 0.5).astype(np.float32)
    target[0, 0] = 1.0 - target[0, 0]
    target[1, 2:] = 1.0  # at steps that are not real
    made = Sequential([Masking(input_shape=(4, 2))])
    made.compile("sgd", "mse", ["binary_accuracy", "recall"])
    _, accuracy, recall = made.evaluate(x, target, verbose=0)
    real = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], bool)
    assert accuracy == pytest.approx(((x > 0.5) == target)[real].mean())
    assert recall == pytest.approx(((x > 0.5) & (target > 0))[real].sum() / (target[real] > 0).sum())


@pytest.mark.parametrize(
    ("metric", "loss"), [("accuracy", "mse"), ("acc", lambda t, y: (y - t).abs()), ("f1", "mse"), (3, "mse")]
)
def test_what_is_no_metric_is_refused(metric, loss):
    with pytest.raises(ArgumentError, match=r"accuracy"):
        evaluate(metric, HITS, loss)
    with pytest.raises(ArgumentError, match="k must be"):
        figures.TopKCategoricalAccuracy(0)
