"""A zoneout below 1 that rounds to it as float32 ended in an error of the compiled steps; a file may hold one."""

import numpy as np
from tests.unit.runtime.networks import network

from ostinato.cells.lstm import LSTM
from ostinato.scans.recurrent import Recurrent


def test_it_runs_in_python():
    net = network([Recurrent(LSTM(2), return_sequences=True, zoneout=1 - 1e-12)])
    x = np.ones((1, 4, 3), np.float32)
    assert np.allclose(net.stream().run(x[0]), net.predict(x)[0], atol=1e-6)
    assert np.allclose(net.predict(x), 0.0, atol=1e-6)  # all of the old state stays
