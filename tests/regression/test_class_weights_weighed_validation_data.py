"""With `validation_split`, class weights scaled val_loss, which then had another unit than with `validation_data`."""

from __future__ import annotations

import numpy as np

from ostinato import Sequential
from ostinato.layers import Dense

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def history(**options):
    model = Sequential([Dense(1, "sigmoid", input_shape=(3,))], seed=0)
    model.compile("sgd", "binary_crossentropy")
    return model.fit(X, Y, epochs=2, verbose=0, class_weight={0: 1.0, 1: 50.0}, **options).history


def test_validation_has_no_class_weights():
    split = history(validation_split=0.25)
    whole = Sequential([Dense(1, "sigmoid", input_shape=(3,))], seed=0)
    whole.compile("sgd", "binary_crossentropy")
    data = (X[30:], Y[30:])
    apart = whole.fit(X[:30], Y[:30], epochs=2, verbose=0, class_weight={0: 1.0, 1: 50.0}, validation_data=data).history
    assert split == apart
    assert split["loss"][0] > 5 * split["val_loss"][0]
