"""Data for sequence models: tables of series in, checked arrays out, and tables back in the kind that came in."""

from ostinato.data.cleaning import Cleaning
from ostinato.data.columns import Columns
from ostinato.data.frames import Table, to_like, write_table
from ostinato.data.freq import Freq, Gap
from ostinato.data.scale import FittedScale, MinMaxScale, StandardScale
from ostinato.data.series import Cut, Panel, Series
from ostinato.data.tables import read_panel
from ostinato.data.times import Times, read_times, time_text

__all__ = [
    "Cleaning",
    "Columns",
    "Cut",
    "FittedScale",
    "Freq",
    "Gap",
    "MinMaxScale",
    "Panel",
    "Series",
    "StandardScale",
    "Table",
    "Times",
    "read_panel",
    "read_times",
    "time_text",
    "to_like",
    "write_table",
]
