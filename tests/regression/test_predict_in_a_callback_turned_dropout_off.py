"""`predict` or `evaluate` in `on_train_batch_end` left the model in evaluation mode for the rest of the epoch."""

from __future__ import annotations

import numpy as np

from ostinato import Sequential
from ostinato.layers import Dense, Dropout
from ostinato.train import Callback

X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


class Peek(Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.predict(X)
        self.model.evaluate(X, X[:, :1])
        self.model(X)


def weights(callbacks):
    model = Sequential([Dropout(0.5, input_shape=(3,)), Dense(1)], seed=1)
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], batch_size=4, epochs=2, verbose=0, callbacks=callbacks)
    return model.get_weights()


def test_looking_at_the_model_does_not_change_its_training():
    for one, two in zip(weights([]), weights([Peek()]), strict=True):
        np.testing.assert_array_equal(one, two)
