import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ostinato import metrics
from ostinato.errors import ArgumentError, DataError, ShapeError


@st.composite
def guesses(draw):
    n = draw(st.integers(1, 40))
    y, f = (draw(hnp.arrays(np.int64, n, elements=st.integers(0, 4))) for _ in range(2))
    weights = draw(hnp.arrays(np.float64, n, elements=st.floats(0.1, 5)))
    if draw(st.booleans()):
        names = np.array(["wren", "owl", "rook", "<b>", "été"])
        y, f = names[y], names[f]
    return y, f, weights


@settings(max_examples=100)
@given(case=guesses())
def test_equals_scikit_learn(case):
    y, f, weights = case
    y[0], f[0] = ("owl", "wren") if y.dtype.kind == "U" else (0, 1)  # scikit-learn warns of a single label
    for w in (None, weights):
        assert metrics.accuracy(y, f, weights=w) == pytest.approx(sk.accuracy_score(y, f, sample_weight=w))
        table = metrics.confusion(y, f, weights=w)
        expected = sk.confusion_matrix(y, f, labels=table.labels, sample_weight=w)
        np.testing.assert_allclose(table.counts, expected)
        each = sk.precision_recall_fscore_support(y, f, labels=table.labels, sample_weight=w, zero_division=0)
        for mine, theirs in zip(metrics.per_class(y, f, weights=w)[1:], each, strict=True):
            np.testing.assert_allclose(mine, theirs)
        for average in ("macro", "micro", "weighted"):
            more = {"average": average, "sample_weight": w, "zero_division": 0}
            for mine, theirs in (
                (metrics.precision, sk.precision_score),
                (metrics.recall, sk.recall_score),
                (metrics.f1, sk.f1_score),
            ):
                assert mine(y, f, average=average, weights=w) == pytest.approx(theirs(y, f, **more))


def test_one_positive_class():
    y, f = ["a", "b", "b", "b"], ["b", "b", "b", "a"]
    assert metrics.precision(y, f, positive="b") == pytest.approx(2 / 3)
    assert metrics.recall(y, f, positive="b") == pytest.approx(2 / 3)
    assert metrics.f1(y, f, positive="a") == 0.0
    assert metrics.precision([0, 1], [1, 1], positive=0) == 0.0
    with pytest.raises(ArgumentError, match="positive"):
        metrics.f1(y, f, positive="c")


@settings(max_examples=60)
@given(data=st.data(), n=st.integers(1, 20), classes=st.integers(3, 6))
def test_scores_equal_scikit_learn(data, n, classes):
    y = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    seed = data.draw(st.integers(0, 999))
    scores = np.random.default_rng(seed).dirichlet(np.ones(classes), size=n)
    weights = np.random.default_rng(seed).uniform(0.1, 2, n)
    for w in (None, weights):
        labels = np.arange(classes)
        for k in range(1, classes):
            expected = sk.top_k_accuracy_score(y, scores, k=k, labels=labels, sample_weight=w)
            assert metrics.top_k(y, scores, k=k, weights=w) == pytest.approx(expected)
        assert metrics.top_k(y, scores, k=classes) == 1.0
        expected = sk.log_loss(y, scores, labels=labels, sample_weight=w)
        assert metrics.log_loss(y, scores, weights=w) == pytest.approx(expected)


def test_ties_count_against_the_forecast():
    assert metrics.top_k([0, 1], np.ones((2, 3)), k=1) == 0.0
    assert metrics.top_k([0, 1], np.ones((2, 3)), k=3) == 1.0


def test_log_loss_of_a_certain_mistake_is_finite():
    assert metrics.log_loss([0], [[0.0, 1.0]]) == pytest.approx(-np.log(np.finfo(float).eps))
    assert metrics.log_loss([1], [[0.0, 1.0]]) == 0.0


def test_masks():
    y, f = np.array([0, 1, 1]), np.array([0, 0, 1])
    keep = np.array([True, False, True])
    assert metrics.accuracy(y, f, observed=keep) == 1.0
    assert metrics.accuracy(np.array(["a", None, "b"], dtype=object), ["a", "b", "b"], observed=keep) == 1.0
    scores = np.array([[0.9, 0.1], [np.nan, 5.0], [0.4, 0.6]])
    assert metrics.top_k(y, scores, k=1, observed=keep) == 1.0
    assert metrics.log_loss(y, scores, observed=keep) == pytest.approx(-(np.log(0.9) + np.log(0.6)) / 2)


def test_refuses():
    with pytest.raises(ShapeError):
        metrics.accuracy([1, 2], [[1], [2]])
    with pytest.raises(ShapeError):
        metrics.accuracy([1, 2], 1)
    with pytest.raises(DataError, match="one kind"):
        metrics.accuracy([1, 2], ["1", "2"])
    with pytest.raises(DataError, match="NaN"):
        metrics.accuracy([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(DataError, match="missing label"):
        metrics.accuracy(["a", None], ["a", "b"])
    with pytest.raises(DataError, match=r"\[empty\]"):
        metrics.f1([], [])
    with pytest.raises(ArgumentError, match="average"):
        metrics.f1([1], [1], average="samples")
    with pytest.raises(ShapeError):
        metrics.top_k([0, 1], [0.1, 0.9], k=1)
    with pytest.raises(ShapeError):
        metrics.log_loss([0, 1], [[0.5, 0.5]])
    for wrong in ([2], [-1], [0.5]):
        with pytest.raises(DataError, match=r"\[label\]"):
            metrics.log_loss(wrong, [[0.5, 0.5]])
    for wrong in ([[0.5, 0.6]], [[-0.1, 1.1]]):
        with pytest.raises(DataError, match=r"\[probability\]"):
            metrics.log_loss([0], wrong)
    with pytest.raises(DataError, match="NaN"):
        metrics.top_k([0], [[np.nan, 1.0]], k=1)
    with pytest.raises(ArgumentError):
        metrics.top_k([0], [[0.5, 0.5]], k=0)
