"""Hostile models of tasks: settings, calendars, histories, vocabularies and networks that do not fit each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.attacks.build import (
    ABSENT,
    NETWORK,
    Array,
    Attack,
    dense,
    dense_weights,
    embedding,
    filled,
    forecast,
    generate,
    lstm_weights,
    numbers,
    raw,
    recurrent,
)

ATTACKS: dict[str, Callable[[], Attack]] = {}

# --- forecasters ------------------------------------------------------------------------------------------------------


def _settings(code: str = "task", **options: Any) -> Callable[[], Attack]:
    return lambda: (code, forecast(options))


def _tensors(code: str = "task", **tensors: Array | None) -> Callable[[], Attack]:
    return lambda: (code, forecast(None, {f"task/{name}": array for name, array in tensors.items()}))


def _forecast(code: str = "task", **changes: Any) -> Callable[[], Attack]:
    return lambda: (code, forecast(**changes))


_LAST = 1_577_836_800_000_000
FORECASTS: dict[str, Callable[[], Attack]] = {
    "future_of_2_31_steps": _settings(horizon=2**31 - 1),
    "future_of_2_26_steps": _settings(horizon=2**26),
    "whole_numbers_to_2_31": lambda: ("task", forecast({"horizon": 2**31 - 1, "freq": "1", "timed": False})),
    "window_of_2_31_steps": _settings(length=2**31 - 1),
    "season_of_2_31_steps": _settings(season=2**31 - 1, anchor="season"),
    "profile_of_2_31_steps": _settings(season=2**31 - 1, anchor="profile"),
    "horizon_2_63": _settings("manifest", horizon=2**63),
    "calendar_is_code": _settings(freq="__import__('os').system('true')"),
    "calendar_with_many_digits": _settings(freq="9" * 5000 + "D"),
    "calendar_of_zero_days": _settings(freq="0D"),
    "calendar_beyond_the_years": _settings(freq="9999Y"),
    "dates_on_whole_numbers": _settings(freq="1"),
    "whole_numbers_on_dates": _settings(timed=False),
    "last_time_in_the_year_9999": _tensors(last=numbers("I64", [2], [253_402_300_799_000_000] * 2)),
    "last_time_before_all_years": _tensors(last=numbers("I64", [2], [-(2**63)] * 2)),
    "last_time_is_no_time": _tensors(last=numbers("I64", [2], [_LAST, -(2**63)])),
    "last_time_2_63": _tensors(last=numbers("I64", [2], [2**63 - 1] * 2)),
    "last_times_are_floats": _tensors(last=numbers("F64", [2])),
    "last_times_of_three": _tensors(last=numbers("I64", [3], [_LAST] * 3)),
    "last_times_are_absent": _tensors(last=None),
    "histories_transposed": _tensors(tails=numbers("F64", [3, 2], range(1, 7))),
    "histories_in_one_row": _tensors(tails=numbers("F64", [6], range(1, 7))),
    "histories_with_nan": _tensors("nonfinite", tails=numbers("F64", [2, 3], [float("nan")] * 6)),
    "histories_below_zero_in_logarithms": lambda: (
        "task", forecast({"log": True}, {"task/tails": numbers("F64", [2, 3], [-1.0] * 6)}),
    ),
    "histories_of_nobody": lambda: (
        "task",
        forecast(None, {"task/ids": raw(b"[]"), "task/last": numbers("I64", [0]), "task/spreads": numbers("F64", [0]),
                        "task/tails": numbers("F64", [0, 3])}),
    ),
    "scale_zero": _tensors(spreads=numbers("F64", [2], [0.0, 1.0])),
    "scale_below_zero": _tensors(spreads=numbers("F64", [2], [1.0, -1.0])),
    "scale_infinite": _tensors("nonfinite", spreads=numbers("F64", [2], [1.0, float("inf")])),
    "scale_subnormal_of_another_type": _tensors(spreads=numbers("F32", [2], [1e-40, 1.0])),
    "widening_of_another_level": _tensors(widening=numbers("F64", [2])),
    "names_twice": _tensors(ids=raw(b'["a","a"]')),
    "names_of_three": _tensors(ids=raw(b'["a","b","c"]')),
    "names_are_numbers": _tensors(ids=raw(b"[1,2]")),
    "names_are_an_object": _tensors(ids=raw(b'{"a":1}')),
    "names_deep": _tensors(ids=raw(b"[" * 1_000_000)),
    "names_unclosed": _tensors(ids=raw(b'["a","b"')),
    "names_not_utf8": _tensors(ids=raw(b'["\xff","b"]')),
    "names_with_half_a_character": _tensors(ids=raw(b'["\\ud800","b"]')),
    "names_by_the_million": _tensors(ids=raw(b'["a"' + b',"b"' * 5_000_000 + b"]")),
    "names_by_the_million_hidden": _tensors(ids=raw(b'["\\\\"' + b',"\\\\"' * 3_000_000 + b"]")),
    "names_that_are_long": _tensors(ids=raw(b'["' + b"a" * 20_000_000 + b'"]')),
    "names_are_floats": _tensors(ids=numbers("F64", [2])),
    "names_in_two_axes": _tensors(ids=("U8", [3, 3], b'["a","b"]')),
    "a_tensor_of_code": _tensors(**{"code/x": raw(b"import os")}),
    "a_tensor_with_a_path": _tensors("task_tensor", **{"../../x": raw(b"")}),
    "levels_by_the_thousand": _settings(level=[float(i) / 1000 for i in range(20_000, 1, -1)]),
    "level_100": _settings(level=[100.0]),
    "levels_that_rise": _settings(level=[50.0, 80.0]),
    "no_level": _settings(level=[]),
    "level_is_text": _settings(level=["80"]),
    "label_of_another_cell": _settings(label="GRU"),
    "label_is_a_script": _settings(label="<script>alert(1)</script>"),
    "two_columns_of_one_name": _settings(time="y"),
    "column_like_the_forecast": _settings(id="LSTM"),
    "anchor_unknown": _settings(anchor="os.system"),
    "delimiter_of_two": _settings(delimiter=",,"),
    "decimal_is_a_letter": _settings(decimal="e"),
    "treatment_unknown": _settings(gaps="exec"),
    "a_setting_of_code": _settings(callbacks="os.system"),
    "a_setting_is_absent": _settings(freq=ABSENT),
    "a_setting_is_null": _settings(horizon=None),
    "a_setting_is_true": _settings(horizon=True),
    "members_that_were_trained_2_31": _settings(training_members=2**31 - 1),
    "seed_2_63": _settings(training_seed=2**63 - 1),
    "rate_of_learning_below_zero": _settings(training_learning_rate=-1.0),
    "forecast_of_no_network": _forecast(
        layers=[], tensors=dict.fromkeys((*lstm_weights(0, 1, 2), *dense_weights(1, 2, 6)))
    ),
    "forecast_of_another_width": _forecast(layers=[recurrent(2), dense(7)], tensors=dense_weights(1, 2, 7)),
    "forecast_of_other_inputs": _forecast(input_shape=[4, 1]),
    "forecast_of_open_length": _forecast(input_shape=[None, 1]),
    "forecast_of_every_step": _forecast("layers", layers=[
        recurrent(2, every=True), {"name": "f", "kind": "flatten"}, *NETWORK]),
    "forecast_called_generate": _forecast(task="generate"),
    "forecast_called_dream": _forecast(task="dream"),
    "forecast_called_sequential_upper": _forecast("manifest", task="Sequential"),
    "forecast_of_two_members": _forecast("tensors", members=2),
    "network_of_two_members": lambda: ("task", filled(
        {"layers/0/W": numbers("F32", [2, 2, 3]), "layers/0/b": numbers("F32", [2, 3])}, layers=[dense(3)], members=2)),
}  # fmt: skip
ATTACKS.update(FORECASTS)

# --- generators -------------------------------------------------------------------------------------------------------

_NO_CODES: dict[str, Array | None] = {"task/vocabulary/codes": None}


def _codes(*values: int, code: str = "vocabulary") -> Callable[[], Attack]:
    array = numbers("I64", [len(values)], values)
    return lambda: (code, generate(None, {"task/vocabulary/codes": array}))


def _words(data: bytes, lengths: list[int], code: str = "vocabulary", **options: Any) -> Callable[[], Attack]:
    tensors = _NO_CODES | {"task/vocabulary/symbols": raw(data)}
    tensors["task/vocabulary/lengths"] = numbers("I64", [len(lengths)], lengths)
    return lambda: (code, generate({"symbols": "words"} | options, tensors))


def _merges(rows: list[int], axes: int = 2, code: str = "vocabulary") -> Callable[[], Attack]:
    tensors = _NO_CODES | {"task/vocabulary/merges": numbers("I64", [len(rows) // axes, axes], rows)}
    options = {"symbols": "subwords", "vocabulary_unknown": ABSENT}
    return lambda: (code, generate(options, tensors, symbols=258))


def _midi(code: str = "vocabulary", **settings: Any) -> Callable[[], Attack]:
    given = {"steps_per_beat": 12, "longest": 96, "velocities": 0, "tempo": 500_000, "items": True} | settings
    options = {f"vocabulary_{name}": value for name, value in given.items()} | {"symbols": "midi", "opening": 0}
    return lambda: (code, generate({"vocabulary_unknown": ABSENT} | options, _NO_CODES, symbols=354))


_NOTHING = dict.fromkeys((*lstm_weights(1, 2, 2), "layers/0/table", "layers/2/W", "layers/2/b"))


def _generate(code: str = "task", **changes: Any) -> Callable[[], Attack]:
    return lambda: (code, generate(**changes))


_MILLION = 1_000_000
GENERATORS: dict[str, Callable[[], Attack]] = {
    "symbols_are_a_module": _generate(options={"symbols": "os.system"}),
    "symbols_are_the_base": _generate(options={"symbols": "base"}),
    "symbols_are_private": _generate(options={"symbols": "_text"}),
    "opening_beyond": _generate(options={"opening": 3}),
    "opening_below": _generate(options={"opening": -1}),
    "opening_2_31": _generate(options={"opening": 2**31 - 1}),
    "vocabulary_with_code": _generate("vocabulary", options={"vocabulary_code": "import os"}),
    "vocabulary_without_policy": _generate("vocabulary", options={"vocabulary_unknown": ABSENT}),
    "vocabulary_policy_unknown": _generate("vocabulary", options={"vocabulary_unknown": "exec"}),
    "vocabulary_items_number": _generate("vocabulary", options={"vocabulary_items": 0}),
    "vocabulary_absent": _generate("vocabulary", tensors=_NO_CODES),
    "vocabulary_of_another_kind": _generate("vocabulary", options={"symbols": "bytes"}),
    "task_tensor_of_code": _generate(tensors={"task/code": raw(b"import os")}),
    "vocabulary_tensor_of_code": _generate("vocabulary", tensors={"task/vocabulary/code": raw(b"import os")}),
    "codes_unsorted": _codes(99, 98, 97),
    "codes_twice": _codes(97, 97, 98),
    "codes_surrogate": _codes(97, 98, 0xD800),
    "codes_beyond_unicode": _codes(97, 98, 0x110000),
    "codes_below_zero": _codes(-1, 98, 99),
    "codes_2_62": _codes(97, 98, 2**62),
    "codes_of_two": _codes(97, 98, code="task"),
    "codes_of_none": _codes(),
    "codes_by_the_million": _codes(*range(_MILLION), code="task"),
    "codes_are_floats": _generate("vocabulary", tensors={"task/vocabulary/codes": numbers("F64", [3])}),
    "codes_in_two_axes": _generate("vocabulary", tensors={"task/vocabulary/codes": numbers("I64", [3, 1])}),
    "words_shorter_than_told": _words(b" ab", [1, 1, 2]),
    "words_longer_than_told": _words(b" abcdef", [1, 1, 1]),
    "words_of_length_below_zero": _words(b" ab", [1, 4, -2]),
    "words_of_length_2_63": _words(b" ab", [2**63 - 1, 2**63 - 1, 5]),
    "words_not_utf8": _words(b" a\xff", [1, 1, 1]),
    "words_cut_in_a_character": _words(" äb".encode(), [1, 1, 2]),
    "words_twice": _words(b" aa", [1, 1, 1]),
    "words_empty": _words(b" a", [1, 1, 0]),
    "words_without_a_space": _words(b"abc", [1, 1, 1]),
    "words_by_the_million": _words(b" " + bytes(_MILLION), [1] * (_MILLION + 1), "task"),
    "word_that_is_long": _words(b" a" + b"b" * 30_000_000, [1, 1, 30_000_000], "vocabulary", vocabulary_items=0),
    "merge_of_what_is_not_yet": _merges([256, 257, 0, 1]),
    "merge_twice": _merges([0, 1, 0, 1]),
    "merge_below_zero": _merges([-1, 0, 0, 1]),
    "merge_in_threes": _merges([0, 1, 2, 3, 4, 5], 3),
    "merges_that_double": _merges([n for i in range(40) for n in (max(0, 255 + i),) * 2], code="vocabulary"),
    "merges_by_the_million": _merges([0, 1] * 2 * _MILLION, code="task"),
    "music_of_no_steps": _midi(steps_per_beat=0),
    "music_of_endless_rests": _midi("vocabulary", longest=2**31 - 1),
    "music_of_many_volumes": _midi(velocities=128),
    "music_of_no_tempo": _midi(tempo=0),
    "music_of_another_size": _midi("task", longest=95),
    "music_with_codes": lambda: ("vocabulary", generate({
        "symbols": "midi", "vocabulary_steps_per_beat": 12, "vocabulary_longest": 96, "vocabulary_velocities": 0,
        "vocabulary_tempo": 500_000, "vocabulary_unknown": ABSENT})),
    "generator_without_a_table": _generate(input_shape=[None, 1], layers=[recurrent(3, every=True), dense(3)], tensors=
                                           _NOTHING | lstm_weights(0, 1, 3) | dense_weights(1, 3, 3)),
    "generator_of_the_last_step": _generate(layers=[embedding(3), recurrent(2), dense(3)]),
    "generator_backwards": _generate(layers=[embedding(3), recurrent(2, every=True, reverse=True), dense(3)]),
    "generator_of_fewer_scores": _generate(layers=[embedding(3), recurrent(2, every=True), dense(2)],
                                           tensors=dense_weights(2, 2, 2)),
    "generator_of_a_smaller_table": _generate(layers=[embedding(2), recurrent(2, every=True), dense(3)],
                                              tensors={"layers/0/table": numbers("F32", [2, 2])}),
    "generator_of_fixed_length": _generate(input_shape=[7]),
    "generator_called_forecast": _generate(task="forecast"),
}  # fmt: skip
ATTACKS.update(GENERATORS)
