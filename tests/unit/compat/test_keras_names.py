"""Scripts written for Keras, run unchanged in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ostinato.compat.categories import to_categorical
from ostinato.compat.padding import pad_sequences
from ostinato.errors import OstinatoError

SINE = """
import sys
import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras.models import Sequential
from tensorflow.keras.layers import LSTM, Dense, GRU
from tensorflow.keras.callbacks import EarlyStopping
from keras.utils import to_categorical, set_random_seed
import keras.optimizers

assert sys.argv[1:] == ["7", "--x"] and __name__ == "__main__", sys.argv
tf.random.set_seed(int(sys.argv[1]))
wave = np.sin(np.linspace(0, 10, 100))
X, y = wave[:-1].reshape(-1, 1), wave[1:]
model = Sequential()
model.add(LSTM(32, input_shape=(1, 1)))
model.add(Dense(1))
model.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=0.01), loss=keras.losses.MeanSquaredError(),
              metrics=[keras.metrics.RootMeanSquaredError()])
history = model.fit(X, y, epochs=30, batch_size=16, verbose=0, callbacks=[EarlyStopping(monitor="loss", patience=5)])
assert history.history["loss"][-1] < 0.05, history.history["loss"]
print("last", round(float(model.predict(X[-1:])[0, 0]), 3))
gru = tf.keras.layers.GRU(4, input_shape=(3, 2))
count = keras.Sequential([gru]).count_params()
assert count == 3 * (16 + 8 + 8), count
model.save(sys.path[0] + "/m.keras")
assert keras.models.load_model(sys.path[0] + "/m.keras").count_params() == model.count_params()
for use in ("from keras.layers import ConvLSTM2D", "import tensorflow.data", "tf.constant", "import keras.wrappers"):
    try:
        exec(use)
    except ImportError as error:
        assert "not_offered" in str(error), error
    else:
        raise SystemExit(use)
"""


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ostinato.compat.keras_names", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=100, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_the_sine_script_runs_unchanged(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "sine.py").write_text(SINE)
    done = run("folder/sine.py", "7", "--x", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("last ")
    assert run("folder/sine.py", "7", "--x", cwd=tmp_path).stdout == done.stdout


def test_no_script_is_one_clear_line(tmp_path):
    done = run(cwd=tmp_path)
    assert done.returncode != 0
    assert "SCRIPT.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_compat_touches_no_names():
    code = "import ostinato.compat.keras_names, sys; print('keras' in sys.modules, 'tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_to_categorical():
    np.testing.assert_array_equal(to_categorical([[0], [2]]), [[1, 0, 0], [0, 0, 1]])
    assert to_categorical([0, 1], 4).shape == (2, 4)
    for bad in ([-1], [0.5], ["a"], []):
        with pytest.raises(OstinatoError):
            to_categorical(bad)
    with pytest.raises(OstinatoError):
        to_categorical([3], 2)


def test_pad_sequences():
    rows = [[1], [2, 3, 4], []]
    np.testing.assert_array_equal(pad_sequences(rows), [[0, 0, 1], [2, 3, 4], [0, 0, 0]])
    np.testing.assert_array_equal(pad_sequences(rows, 2, padding="post"), [[1, 0], [3, 4], [0, 0]])
    np.testing.assert_array_equal(pad_sequences(rows, 2, truncating="post", value=9), [[9, 1], [2, 3], [9, 9]])
    assert pad_sequences([np.ones((2, 3)), np.ones((1, 3))], dtype="float32").shape == (2, 2, 3)
    with pytest.raises(OstinatoError):
        pad_sequences(rows, padding="left")
