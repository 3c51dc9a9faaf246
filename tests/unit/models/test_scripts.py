"""Scripts as users have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler
from torch import nn

import ostinato
from ostinato import Sequential
from ostinato.errors import ModelFileError, ShapeError
from ostinato.layers import LSTM, RNN, Dense


def test_scaled_series_with_two_lstms():
    months = np.arange(120)
    series = (100 + months + 20 * np.sin(months * np.pi / 6)).reshape(-1, 1)
    scaler = MinMaxScaler((0, 1))
    scaled = scaler.fit_transform(series)
    n = 6
    x = np.array([scaled[i : i + n, 0] for i in range(len(scaled) - n)])
    y = scaled[n:, 0]
    cut = int(len(x) * 0.8)
    model = Sequential(seed=1)
    model.add(LSTM(50, return_sequences=True, input_shape=(n, 1)))
    model.add(LSTM(50))
    model.add(Dense(1))
    model.compile(loss="mse", optimizer="adam")
    history = model.fit(x[:cut], y[:cut], epochs=12, batch_size=32, verbose=0)
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
    assert isinstance(model.evaluate(x[cut:], y[cut:], verbose=0), float)
    forecast = scaler.inverse_transform(model.predict(x[cut:], verbose=0))
    assert forecast.shape == (len(x) - cut, 1)
    assert 100 < forecast.mean() < 260
    with pytest.raises(ShapeError, match="output has"):
        model.fit(x[:cut], x[:cut], epochs=1, verbose=0)


def test_sine_of_100_points():
    wave = np.sin(np.linspace(0, 10, 100))
    x, y = wave[:-1].reshape(-1, 1), wave[1:]
    model = Sequential([LSTM(32, input_shape=(1, 1)), Dense(1)], seed=0)
    model.compile(optimizer="adam", loss="mse")
    history = model.fit(x, y, epochs=40, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert -2 < model.predict(x[-1:])[0, 0] < 2


def test_1781_parameters(capsys):
    model = Sequential([LSTM(20, input_shape=(10, 1)), Dense(1)])
    assert model.count_params() == 1781
    assert model.output_shape == (None, 1)
    model.summary()
    text = capsys.readouterr().out
    assert "1,781" in text
    assert "(None, 1)" in text
    assert "lstm (LSTM)" in text


class Step(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        return self.i2o(combined), self.i2h(combined)


def test_own_step_module_trains_and_is_not_saved(tmp_path):
    torch.manual_seed(0)
    step = Step(1, 8, 4)
    before = step.i2h.weight.detach().clone()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 5, 1))
    ragged = [row[: 2 + i % 4] for i, row in enumerate(x)]
    y = np.array([row.sum() for row in ragged])
    model = Sequential([RNN(step, input_shape=(None, 1)), Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.optimizer.learning_rate = 0.02
    history = model.fit(ragged, y, epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.2 * history.history["loss"][0]
    assert float((step.i2h.weight.detach() - before).abs().max()) > 1e-3
    assert "step by step" in model.explain_choices()["rnn"]
    with pytest.raises(ModelFileError, match="Step") as error:
        model.save(tmp_path / "m.safetensors")
    assert error.value.code == "custom_layer"
    weights, expected = model.get_weights(), model.predict(ragged)
    torch.manual_seed(9)
    twin = Sequential([RNN(Step(1, 8, 4), input_shape=(None, 1)), Dense(1)])
    twin.set_weights(weights)
    np.testing.assert_array_equal(twin.predict(ragged), expected)


def test_import_is_light():
    assert {"Sequential", "load_model", "set_random_seed", "layers", "errors"} <= set(dir(ostinato))
    with pytest.raises(AttributeError, match="Sequential"):
        _ = ostinato.Sequentiel


def test_version_is_that_of_the_project():
    import tomllib
    from pathlib import Path

    text = Path(__file__).parents[3].joinpath("pyproject.toml").read_text(encoding="utf-8")
    assert ostinato.__version__ == tomllib.loads(text)["project"]["version"]
