"""Each bias of a state_dict was finite, their sum was not, and the model that came out could not be saved."""

import numpy as np
import pytest

from ostinato.convert.torch import from_state_dict
from ostinato.errors import ConversionError


def test_it_is_refused() -> None:
    state = {
        "rnn.weight_ih_l0": np.ones((8, 3), np.float32),
        "rnn.weight_hh_l0": np.ones((8, 2), np.float32),
        "rnn.bias_ih_l0": np.full(8, 3e38, np.float32),
        "rnn.bias_hh_l0": np.full(8, 3e38, np.float32),
    }
    with pytest.raises(ConversionError, match="finite"):
        from_state_dict(state)
    from_state_dict(state | {"rnn.bias_hh_l0": np.zeros(8, np.float32)})
