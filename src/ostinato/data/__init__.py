"""Data for sequence models: tables of series in, checked arrays out, and tables back in the kind that came in.

Texts and tunes come in through `inputs`, and become whole numbers by `vocabularies`.
"""

from ostinato.data.cleaning import Cleaning
from ostinato.data.columns import Columns
from ostinato.data.frames import Table, to_like, write_table
from ostinato.data.freq import Freq, Gap
from ostinato.data.inputs import Note, Texts, Tune, list_files, read_array, read_texts, read_tune, write_tune
from ostinato.data.scale import FittedScale, MinMaxScale, StandardScale
from ostinato.data.series import Cut, Panel, Series
from ostinato.data.split import SplitItems, SplitTexts, split_items, split_stream, split_texts
from ostinato.data.tables import read_panel
from ostinato.data.times import Times, read_times, time_text
from ostinato.data.vocabularies import VOCABULARIES, Vocabulary

__all__ = [
    "VOCABULARIES",
    "Cleaning",
    "Columns",
    "Cut",
    "FittedScale",
    "Freq",
    "Gap",
    "MinMaxScale",
    "Note",
    "Panel",
    "Series",
    "SplitItems",
    "SplitTexts",
    "StandardScale",
    "Table",
    "Texts",
    "Times",
    "Tune",
    "Vocabulary",
    "list_files",
    "read_array",
    "read_panel",
    "read_texts",
    "read_times",
    "read_tune",
    "split_items",
    "split_stream",
    "split_texts",
    "time_text",
    "to_like",
    "write_table",
    "write_tune",
]
