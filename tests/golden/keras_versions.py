"""Files that other versions of Keras write, read back: of many stacks, in all of its formats.

The first call runs in an environment with a Keras of any version since 2.12, and with nothing of ostinato:

    pip install tensorflow-cpu==2.15.1                           # or 2.12.1, 2.13.1, 2.14.1; or keras with jax
    python tests/golden/keras_versions.py write FOLDER
    PYTHONPATH=src python tests/golden/keras_versions.py read FOLDER

The second one needs ostinato and h5py. A file that is read must give Keras' outputs to 1e-5; what is refused is listed.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

SYMBOLS, STEPS, FEATURES = 9, 7, 4


def stacks(L):
    """Each stack by name: whether it reads symbols, and its layers."""

    def embedded(*layers, mask=False):
        return True, [L.Embedding(SYMBOLS, 3, mask_zero=mask), *layers]

    def numbers(*layers):
        return False, list(layers)

    sides = {"go_backwards": True, "return_sequences": True}
    return {
        "lstm": embedded(L.LSTM(4), L.Dense(2, activation="softmax")),
        "lstm_masked": embedded(L.LSTM(4, return_sequences=True), L.LSTM(3, use_bias=False), L.Dense(1), mask=True),
        "lstm_hard": numbers(L.LSTM(4, recurrent_activation="hard_sigmoid")),
        "gru_after": embedded(L.GRU(4, reset_after=True, return_sequences=True), L.GRU(3), L.Dense(2), mask=True),
        "gru_before": embedded(L.GRU(4, reset_after=False), L.Dense(2), mask=True),
        "gru_no_bias": numbers(L.GRU(4, use_bias=False, return_sequences=True), L.GRU(3, reset_after=False)),
        "simple_rnn": numbers(L.SimpleRNN(4, activation="relu", return_sequences=True), L.SimpleRNN(3)),
        "backwards": numbers(L.LSTM(4, go_backwards=True), L.Dense(2)),
        "bidirectional": numbers(L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Bidirectional(L.GRU(2), "sum")),
        "two_sides": numbers(
            L.Bidirectional(L.LSTM(3, return_sequences=True), "ave", backward_layer=L.LSTM(3, **sides))
        ),
        "bidirectional_masked": embedded(L.Bidirectional(L.GRU(3, return_sequences=True)), L.LSTM(2), mask=True),
        "time_distributed": numbers(L.LSTM(4, return_sequences=True), L.TimeDistributed(L.Dense(2, activation="tanh"))),
        "time_distributed_twice": numbers(L.TimeDistributed(L.Dense(3)), L.TimeDistributed(L.LayerNormalization())),
        "conv1d": numbers(L.Conv1D(5, 3, padding="causal", activation="relu"), L.MaxPooling1D(2), L.LSTM(3)),
        "conv1d_dilated": numbers(L.Conv1D(5, 2, dilation_rate=2), L.GlobalMaxPooling1D(), L.Dense(1)),
        "layer_norm": numbers(L.LSTM(4, return_sequences=True), L.LayerNormalization(), L.Dense(2)),
        "masking": numbers(L.Masking(-1.0), L.LSTM(4, return_sequences=True), L.SimpleRNN(2)),
        "dropouts": numbers(L.Dropout(0.3), L.GRU(4, dropout=0.1, recurrent_dropout=0.2), L.Dense(2), L.Dense(1)),
        "spatial": embedded(L.SpatialDropout1D(0.2), L.LSTM(3, return_sequences=True), L.GlobalAveragePooling1D()),
        "seq_to_seq": numbers(
            L.LSTM(4), L.RepeatVector(5), L.LSTM(3, return_sequences=True), L.TimeDistributed(L.Dense(1))
        ),
        "reshape": numbers(L.Reshape((STEPS * 2, 2)), L.GRU(3, return_sequences=True), L.Flatten(), L.Dense(2)),
        "activation": numbers(L.Dense(3), L.Activation("elu"), L.LSTM(2, activation="softsign")),
    }  # fmt: skip


def write(folder):
    import keras

    chain = {"s": keras.Sequential, "f": lambda given: functional(keras, given)}
    keras.utils.set_random_seed(1)
    rng, said = np.random.default_rng(1), {"keras": keras.__version__, "stacks": {}, "unwritten": {}}
    for name in stacks(keras.layers):
        for kind, make in chain.items():
            symbols, layers = stacks(keras.layers)[name]
            x = samples(rng, symbols=symbols, masked=name == "masking")
            given = keras.layers.Input(x.shape[1:]) if symbols else keras.layers.Input((STEPS, FEATURES))
            model = make([given, *layers])
            model.set_weights([rng.uniform(-0.9, 0.9, w.shape) for w in model.get_weights()])
            model.compile(loss="mse", optimizer="adam")
            stem = f"{kind}_{name}"
            for ending, save in (("keras", model.save), ("h5", model.save), ("weights.h5", model.save_weights),
                                 ("old_weights.h5", model.save_weights)):  # fmt: skip
                try:
                    save(folder / f"{stem}.{ending}")
                except (ValueError, NotImplementedError, TypeError) as error:
                    said["unwritten"][f"{stem}.{ending}"] = str(error)[:200]
            np.savez(folder / f"{stem}.npz", x=x, y=np.asarray(model(x)))
            said["stacks"][stem] = symbols
    (folder / "said.json").write_text(json.dumps(said))
    print(f"Keras {keras.__version__}: {len(said['stacks'])} models written, not {sorted(said['unwritten'])}")


def functional(keras, given):
    y = given[0]
    for layer in given[1:]:
        y = layer(y)
    return keras.Model(given[0], y)


def samples(rng, *, symbols, masked):
    if symbols:
        x = rng.integers(1, SYMBOLS, (3, STEPS))
        x[1, 4:] = x[2, 1:] = 0
        return x
    x = rng.normal(size=(3, STEPS, FEATURES)).astype("float32")
    if masked:
        x[1, 4:] = x[2, :2] = -1.0
    return x


def read(folder):
    from ostinato.convert.source import read_source
    from ostinato.errors import OstinatoError
    from ostinato.runtime.models import from_bundle

    said = json.loads((folder / "said.json").read_text())
    worst, refused, wrong, good = 0.0, {}, [], 0
    for stem in said["stacks"]:
        numbers = np.load(folder / f"{stem}.npz")
        for ending in ("keras", "h5", "weights.h5", "old_weights.h5"):
            path = folder / f"{stem}.{ending}"
            if not path.exists():
                continue
            try:
                into = folder / f"{stem}.keras" if "weights" in ending else None
                found = from_bundle(read_source(path, into=into).bundle).predict(numbers["x"])
            except OstinatoError as error:
                refused.setdefault(str(error), []).append(path.name)
                continue
            difference = real_difference(found, numbers["y"])
            worst, good = max(worst, difference), good + (difference < 1e-5)
            if not difference < 1e-5:
                wrong.append((path.name, difference))
    print(f"Keras {said['keras']}: {good} files equal up to {worst:.1e}, {sum(map(len, refused.values()))} refused")
    for message, names in refused.items():
        print(f"  {message}\n    {len(names)}: {', '.join(names[:6])}")
    for name, difference in wrong:
        print(f"  WRONG {name}: {difference}")
    return not wrong


def real_difference(ours, theirs):
    """Between outputs at steps that no mask leaves out: there we say zeros."""
    real = np.ones(ours.shape, bool)
    if ours.ndim == 3:
        real &= (ours != 0).any(axis=2, keepdims=True)
    return float(np.abs(np.where(real, ours - theirs, 0)).max()) if ours.shape == theirs.shape else np.inf


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    write(target) if sys.argv[1] == "write" else sys.exit(0 if read(target) else 1)
