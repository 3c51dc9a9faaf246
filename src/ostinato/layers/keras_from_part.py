"""From the part that a model file describes to the layer of the Keras face that it belongs to."""

from __future__ import annotations

from ostinato.cells import gru, gru_reset_after, lstm, simple_rnn
from ostinato.layers import keras_maps, keras_recurrent, keras_sequence, keras_wrappers
from ostinato.layers.keras_base import KerasLayer, Weighing
from ostinato.maps.activation import Activation
from ostinato.maps.activity_penalty import ActivityPenalty
from ostinato.maps.attention import Attention
from ostinato.maps.base import Part
from ostinato.maps.conv1d import Conv1D
from ostinato.maps.dense import Dense
from ostinato.maps.dropout import Dropout
from ostinato.maps.embedding import Embedding
from ostinato.maps.flatten import Flatten
from ostinato.maps.global_average_pooling1d import GlobalAveragePooling1D
from ostinato.maps.global_max_pooling1d import GlobalMaxPooling1D
from ostinato.maps.layer_norm import LayerNorm
from ostinato.maps.masking import Masking
from ostinato.maps.max_pooling1d import MaxPooling1D
from ostinato.maps.repeat_vector import RepeatVector
from ostinato.maps.reshape import Reshape
from ostinato.maps.time_distributed import TimeDistributed
from ostinato.scans.bidirectional import Bidirectional
from ostinato.scans.recurrent import Recurrent

_CELLS: dict[type, type[KerasLayer]] = {
    simple_rnn.SimpleRNN: keras_recurrent.SimpleRNN,
    lstm.LSTM: keras_recurrent.LSTM,
    gru.GRU: keras_recurrent.GRU,
    gru_reset_after.GRUResetAfter: keras_recurrent.GRU,
}

_PARTS: dict[type, type[KerasLayer]] = {
    Activation: keras_maps.Activation,
    ActivityPenalty: keras_maps.ActivityPenalty,
    Attention: keras_sequence.Attention,
    Bidirectional: keras_wrappers.Bidirectional,
    Conv1D: keras_sequence.Conv1D,
    Dense: keras_maps.Dense,
    Dropout: keras_maps.Dropout,
    Embedding: keras_maps.Embedding,
    Flatten: keras_maps.Flatten,
    GlobalAveragePooling1D: keras_sequence.GlobalAveragePooling1D,
    GlobalMaxPooling1D: keras_sequence.GlobalMaxPooling1D,
    LayerNorm: keras_maps.LayerNormalization,
    Masking: keras_maps.Masking,
    MaxPooling1D: keras_sequence.MaxPooling1D,
    RepeatVector: keras_maps.RepeatVector,
    Reshape: keras_maps.Reshape,
    TimeDistributed: keras_wrappers.TimeDistributed,
}


def from_part(part: Part, *, name: str, weighing: Weighing) -> KerasLayer:
    """The layer around `part`, of the class that people know; a plain `KerasLayer` if there is none.

    Args:
        part: The formula.
        name: The layer's name.
        weighing: Penalties and missing weights.
    """
    cls: type[KerasLayer] = KerasLayer
    if isinstance(part, Recurrent):
        cls = _CELLS.get(type(part.cell), keras_recurrent.RNN)
    elif type(part) in _PARTS:
        cls = _PARTS[type(part)]
    if isinstance(part, Dropout) and part.over_time:
        cls = keras_maps.SpatialDropout1D
    layer = cls.__new__(cls)
    KerasLayer.__init__(layer, part, weighing=weighing, common={"name": name})
    if isinstance(layer, keras_wrappers.Bidirectional):
        layer.merge_mode = layer.part.merge_mode
    if isinstance(layer, keras_maps.Reshape):
        layer.open = None
    return layer
