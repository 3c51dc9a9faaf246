"""Makes `model.keras`, `model.weights.h5`, `chain.h5` and `model.keras.json`: a small model as Keras writes it, its
weights alone, the same one as a functional model in Keras' older format, an input, and what Keras computes.

Run in an environment with Keras 3 and JAX (`pip install "keras==3.*" jax h5py`) and this source tree on the path:

    PYTHONPATH=src:. python tests/golden/make_keras_file.py          # makes the files
    PYTHONPATH=src:. python tests/golden/make_keras_file.py --check  # Keras loads what ostinato writes, and back

`--check` writes each stack of `tests/unit/convert/samples.py` that Keras can hold, loads it in Keras, and compares.
Then Keras writes each of them in all its formats, also as a functional model, and what is read is compared.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
from keras import layers as L

HERE = Path(__file__).parent


def make():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((None,)),
            L.Embedding(7, 3, mask_zero=True),
            L.GRU(3, reset_after=True, return_sequences=True),
            L.GRU(2, reset_after=False),
            L.Dense(2, activation="softmax"),
        ],
        name="golden",
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(-1.2, 1.2, w.shape) for w in model.get_weights()])
    model.save(HERE / "model.keras")
    model.save_weights(HERE / "model.weights.h5")
    keras.Model(model.inputs, model.outputs, name="golden").save(HERE / "chain.h5")
    x = np.array([[1, 4, 2, 6, 5], [3, 5, 0, 0, 0], [6, 1, 1, 2, 0]])
    made = {
        "versions": {"keras": keras.__version__, "jax": jax.__version__},
        "python": ".".join(map(str, sys.version_info[:3])),
        "x": x.tolist(),
        "y": np.round(np.asarray(model(x), np.float64), 9).tolist(),
    }
    (HERE / "model.keras.json").write_text(json.dumps(made) + "\n")


def check():
    from tests.unit.convert.samples import network, samples

    from ostinato.convert.keras.files import save_keras
    from ostinato.errors import ConversionError
    from ostinato.maps.embedding import Embedding
    from ostinato.maps.masking import Masking
    from ostinato.runtime.sequential_file import Named

    rng = np.random.default_rng(1)
    worst, back, refused = [], [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for sample in samples():
            ours = network(sample)
            named = [Named(f"l{i}", p, w) for i, (p, w) in enumerate(zip(ours.parts, ours.weights, strict=True))]
            path = folder / "m.keras"
            try:
                save_keras(path, named, sample.shape, name="m")
            except ConversionError:
                refused += 1
                continue
            shape = (3, *(7 if n is None else n for n in sample.shape))
            first = sample.parts[0]
            symbols = isinstance(first, Embedding)
            x = rng.integers(0, first.input_dim, shape) if symbols else rng.normal(size=shape).astype(np.float32)
            if isinstance(first, Masking):
                x[0, -2:] = x[1, :1] = first.mask_value
            model = keras.models.load_model(path)
            worst.append(np.abs(ours.predict(x) - np.asarray(model(x))).max())
            assert worst[-1] < 1e-5, (str(sample), worst[-1])
            save_keras(folder / "o.weights.h5", named, sample.shape, name="m")
            model.set_weights([w * 0 for w in model.get_weights()])
            model.load_weights(folder / "o.weights.h5")
            back += [_difference(*one, ours.predict(x), x) for one in _written(model, folder)]
            assert max(back) < 1e-5, (str(sample), back[-4:])
    print(f"Keras {keras.__version__}: {len(worst)} stacks equal up to {max(worst):.1e}, {refused} refused")
    print(f"read back: {len(back)} files equal up to {max(back):.1e}")


def _written(model, folder):
    """Keras' formats, each with the file that describes the layers of weights alone."""
    functional = keras.Model(model.inputs, model.outputs)
    files = {
        "s.h5": model.save,
        "s.weights.h5": model.save_weights,
        "f.keras": functional.save,
        "f.h5": functional.save,
    }
    for file, save in files.items():
        save(folder / file)
        yield folder / file, folder / "m.keras" if "weights" in file else None


def _difference(path, into, y, x):
    from ostinato.convert.source import read_source
    from ostinato.runtime.models import from_bundle

    return np.abs(from_bundle(read_source(path, into=into).bundle).predict(x) - y).max()


if __name__ == "__main__":
    check() if "--check" in sys.argv else make()
