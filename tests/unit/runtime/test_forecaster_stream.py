"""A series that goes on: its forecasts are those of the whole history, whatever the history is."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.runtime.forecasters import forecaster

from ostinato.data import Cleaning, Columns
from ostinato.data.framing import ANCHORS
from ostinato.errors import ArgumentError, DataError, DataWarning, OstinatoError, ShapeError, SnapshotError
from ostinato.runtime.forecaster_stream import ForecasterStream, step_together

NEAR = {"rtol": 2e-5, "atol": 1e-6}
RNG = np.random.default_rng(3)
VALUES = np.exp(RNG.normal(0.0, 0.3, 40) + np.sin(np.arange(40)))
DAYS = np.datetime64("2021-03-01", "D") + np.arange(40)


def predicted(model, values, times=None):
    """The quantiles and times of `predict` on a whole history."""
    with pytest.warns(DataWarning, match="not in training"):
        table = model.predict({"ds": np.arange(len(values)) if times is None else times, "y": values})
    return np.stack([table[name] for name in model.columns()], axis=1), table["ds"]


def same(one, other):
    assert (one is None) == (other is None)
    if one is not None:
        assert one.quantiles.tobytes() == other.quantiles.tobytes()
        assert np.array_equal(one.times, other.times)


@pytest.mark.parametrize(("anchor", "log"), list(itertools.product(ANCHORS, [False, True])))
def test_a_stream_says_what_predict_says_of_the_history_so_far(anchor, log):
    model = forecaster(anchor=anchor, log=log)
    reach, stream = model.framing.reach, model.stream()
    assert stream.run(VALUES[: reach - 1]) == [None] * (reach - 1)
    for n in range(reach, len(VALUES) + 1):
        found = stream.step(VALUES[n - 1])
        want, times = predicted(model, VALUES[:n])
        np.testing.assert_allclose(found.quantiles, want, **NEAR)
        assert np.array_equal(found.times, times)
        assert found.columns == model.columns()
    assert stream.steps == len(VALUES)


def test_the_unit_of_a_long_history_is_that_of_predict():
    model = forecaster()
    values = np.random.default_rng(0).normal(0.0, 1.0, 1300) * np.linspace(1.0, 5.0, 1300)
    stream = model.stream()
    stream.feed(values)
    np.testing.assert_allclose(stream.forecast().quantiles, predicted(model, values)[0], **NEAR)
    assert len(stream.snapshot()) < 2000


def test_a_series_of_training_goes_on_with_its_own_unit():
    model = forecaster(timed=True)
    known, new = model.known, [3.0, 4.0, 5.0]
    stream = model.stream(series="b")
    same(stream.forecast(), model.stream(series="b").forecast())
    table = model.predict()
    rows = np.asarray(table["unique_id"]) == "b"
    at_first = np.stack([table[name][rows] for name in model.columns()], axis=1)
    np.testing.assert_allclose(stream.forecast().quantiles, at_first, **NEAR)
    assert np.array_equal(stream.forecast().times, table["ds"][rows])
    found = stream.run(new)[-1]
    history = np.concatenate([known.tails[1], new])
    times = (known.last[1] - np.timedelta64(1, "D") * (len(known.tails[1]) - 1)) + np.arange(
        len(history)
    ) * np.timedelta64(1, "D")
    want = model.predict({"unique_id": ["b"] * len(history), "ds": times, "y": history})
    np.testing.assert_allclose(found.quantiles, np.stack([want[n] for n in model.columns()], axis=1), **NEAR)
    assert np.array_equal(found.times, want["ds"])
    with pytest.raises(DataError, match="'a', 'b'") as caught:
        model.stream(series="c")
    assert caught.value.code == "id"


def test_any_cut_fork_reset_and_snapshot_give_the_same_bits():
    model = forecaster(timed=True)
    whole = model.stream().run(VALUES, DAYS)
    for at in (0, 1, 5, 17, 39):
        stream = model.stream()
        first = stream.run(VALUES[:at], DAYS[:at])
        blob, fork = stream.snapshot(), stream.fork()
        for other in (stream, fork, model.stream(blob), forecaster(timed=True).stream(blob)):
            assert other.steps == at
            rest = [other.step(value, day) for value, day in zip(VALUES[at:], DAYS[at:], strict=True)]
            for one, want in zip([*first, *rest], whole, strict=True):
                same(one, want)
        assert model.stream(blob).snapshot() == blob
        stream.reset()
        assert stream.steps == 0
        for one, want in zip(stream.run(VALUES, DAYS), whole, strict=True):
            same(one, want)


def test_a_known_series_is_restored_and_reset():
    model = forecaster(timed=True)
    stream = model.stream(series="a", nonfinite="hold")
    stream.run([1.0, None])
    again = model.stream(stream.snapshot())
    assert again.series == "a"
    same(stream.step(2.0), again.step(2.0))
    again.reset()
    same(again.forecast(), model.stream(series="a").forecast())
    with pytest.raises(ArgumentError, match="beside a snapshot"):
        model.stream(stream.snapshot(), series="a")


@pytest.mark.parametrize(
    ("cleaning", "places"),
    [
        (Cleaning(gaps="fill"), [3, 4, 20]),
        (Cleaning(gaps="fill", missing="interpolate"), [3, 4, 20]),
        (Cleaning(gaps="fill", missing="ffill"), [3, 4, 20]),
        (Cleaning(gaps="as-is"), [3, 4, 20]),
    ],
)
def test_gaps_are_treated_as_the_reader_treats_them(cleaning, places):
    model = forecaster(timed=True, cleaning=cleaning)
    kept = np.setdiff1d(np.arange(40), places)
    found = model.stream().run(VALUES[kept], DAYS[kept])[-1]
    want, times = predicted(model, VALUES[kept], DAYS[kept])
    np.testing.assert_allclose(found.quantiles, want, **NEAR)
    assert np.array_equal(found.times, times)


def test_each_series_of_a_pool_may_have_a_policy_of_its_own():
    pool = forecaster().pool(3, nonfinite="hold")
    pool.open("held"), pool.open("refused", nonfinite="raise"), pool.open("passed", nonfinite="propagate")
    pool.step(["held", "refused", "passed"], [1.0, 2.0, 3.0])
    pool.step(["held", "refused", "passed"], [np.nan, 3.0, np.nan])
    before = pool.snapshot("refused")
    with pytest.raises(DataError, match="nan"):
        pool.step(["refused"], [np.nan])
    assert pool.snapshot("refused") == before
    pool.close("refused")
    with pytest.raises(ArgumentError, match="raise, hold, propagate"):
        pool.open("refused", nonfinite="ignore")


def test_hold_repeats_the_last_value_as_the_reader_masks():
    model = forecaster(timed=True, cleaning=Cleaning(missing="mask"))
    holes = VALUES.copy()
    holes[[4, 5, 30]] = np.nan
    found = model.stream(nonfinite="hold").run(holes, DAYS)
    for n in (20, 31, 40):
        np.testing.assert_allclose(found[n - 1].quantiles, predicted(model, holes[:n], DAYS[:n])[0], **NEAR)
    stream = model.stream(nonfinite="hold")
    with pytest.raises(DataError, match="before any other one"):
        stream.step(None)


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -np.inf, 1e39])
def test_raise_leaves_the_state_as_it_was(bad):
    stream = forecaster().stream()
    stream.feed(VALUES[:20])
    before = stream.snapshot()
    for use in (stream.step, lambda value: stream.run([1.0, value]), lambda value: stream.feed([1.0, value])):
        with pytest.raises(DataError, match=r"step 2[12]") as caught:
            use(bad)
        assert caught.value.code == ("nan" if bad is None or np.isnan(bad) else "nonfinite")
        assert stream.snapshot() == before


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("bad", [None, np.inf, -1e39])
def test_propagate_is_nan_within_reach_and_then_over(anchor, bad):
    model = forecaster(anchor=anchor)
    reach = model.framing.reach
    stream, other = model.stream(nonfinite="propagate"), model.stream()
    stream.feed(VALUES[:reach])
    found = stream.run([bad, *VALUES[: reach + 5]])
    assert all(np.isnan(one.quantiles).all() for one in found[:reach])
    assert all(np.isfinite(one.quantiles).all() for one in found[reach:])
    other.feed(VALUES[: reach + 5])
    blob = model.stream(stream.snapshot(), nonfinite="propagate").snapshot()
    assert blob == stream.snapshot()
    want = other.forecast().quantiles  # of another unit
    assert abs(found[-1].quantiles - want).max() < 5.0 * (want.max() - want.min())


def test_values_must_be_positive_where_logarithms_are_taken():
    stream = forecaster(log=True).stream()
    with pytest.raises(DataError, match="step 2") as caught:
        stream.run([1.0, 0.0])
    assert caught.value.code == "domain"
    assert stream.steps == 0


DAY = np.datetime64("2021-03-02", "D")
TIMES = {
    "the same": (DAY, "duplicate"), "earlier": ("2021-03-01", "order"), "a gap": ("2021-03-05", "gap"),
    "off the grid": ("2021-03-03 06:00", "irregular"), "no time": ("soon", "time"), "empty": ("", "time"),
    "a number": (7, "freq"), "with an offset": ("2021-03-03T00:00+02:00", "timezone"), "a list": ([DAY], "time"),
}  # fmt: skip


@pytest.mark.parametrize("name", TIMES)
def test_a_bad_time_is_refused(name):
    model = forecaster(timed=True)
    stream = model.stream()
    stream.run([1.0, 2.0], ["2021-03-01", DAY])
    before = stream.snapshot()
    time, code = TIMES[name]
    with pytest.raises(DataError) as caught:
        stream.step(3.0, time)
    assert caught.value.code == code
    assert stream.snapshot() == before
    assert stream.step(3.0, "2021-03-03") is None


def test_a_gap_names_the_absent_steps_and_its_series():
    stream = forecaster(timed=True).stream(series="b")
    last = stream.forecast().times[0] - np.timedelta64(1, "D")
    with pytest.raises(DataError, match=r"a gap of 2 at series 'b', 2020-02-10 to 2020-02-11"):
        stream.step(1.0, last + np.timedelta64(3, "D"))


def test_a_gap_that_cannot_be_meant_is_refused():
    stream = forecaster(timed=True, cleaning=Cleaning(gaps="fill")).stream()
    stream.step(1.0, "2021-03-01")
    with pytest.raises(DataError, match="wrong date") as caught:
        stream.step(1.0, "9021-03-01")
    assert caught.value.code == "gap"


def test_hours_with_offsets_are_moments_and_not_dates():
    model = forecaster(timed=True, freq="h")
    stream, berlin = model.stream(), dt.timezone(dt.timedelta(hours=2))
    stream.step(1.0, "2021-03-01T23:00+02:00")
    stream.step(1.0, "2021-03-02T00:00 +0200")
    stream.step(1.0, dt.datetime(2021, 3, 2, 1, tzinfo=berlin))
    stream.step(1.0, "2021-03-02T00:00Z")
    assert stream._clock(stream._now()).last == np.datetime64("2021-03-02T00:00")
    with pytest.raises(DataError) as caught:
        stream.step(1.0, "2021-03-02T01:00")
    assert caught.value.code == "timezone"


def test_times_may_begin_late_and_steps_follow_each_other():
    model = forecaster(timed=True)
    reach, stream = model.framing.reach, model.stream()
    assert stream.run(VALUES[:reach])[-1].times is None
    assert stream.step(1.0, "2021-03-01").times[0] == np.datetime64("2021-03-02")
    assert stream.step(1.0).times[0] == np.datetime64("2021-03-03")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s: s.step("3"), DataError),
        (lambda s: s.step(True), DataError),
        (lambda s: s.step([1.0]), ShapeError),
        (lambda s: s.run(3.0), ShapeError),
        (lambda s: s.run([[1.0]]), ShapeError),
        (lambda s: s.run([1.0, 2.0], [1]), ShapeError),
        (lambda s: s.run(np.array(["a"])), DataError),
    ],
)
def test_what_is_no_value_is_refused(call, error):
    stream = forecaster().stream()
    with pytest.raises(error):
        call(stream)
    assert stream.steps == 0


def test_a_forecast_that_overflows_takes_nothing():
    model = forecaster(anchor="last", log=True, scale=300.0)
    stream = model.stream()
    with pytest.raises(DataError, match="finite"):
        stream.run(10.0 ** np.tile([-30.0, 30.0], 20))
    assert stream.steps == 0
    with pytest.raises(ArgumentError, match="nonfinite"):
        model.stream(nonfinite="ignore")


def test_snapshots_of_other_models_are_refused():
    blob = forecaster().stream().snapshot()
    for other in (forecaster(seed=1), forecaster(log=True), forecaster(freq="2"), forecaster(widening=0.5)):
        with pytest.raises(SnapshotError) as caught:
            other.stream(blob)
        assert caught.value.code == "model"
    for damaged in (blob[:-1], b"", "text", blob[:40] + b"x" + blob[41:]):
        with pytest.raises(SnapshotError):
            forecaster().stream(damaged)


def test_snapshots_with_right_checksums_and_other_contents_are_refused():
    from ostinato.runtime.snapshot import pack, unpack

    model = forecaster(timed=True)
    stream = model.stream()
    stream.run(VALUES, DAYS)
    facts, arrays = unpack(stream.snapshot(), model.fingerprint, "forecast")
    changes = [
        ({"steps": -1}, arrays), ({"steps": 1.5}, arrays), ({"squares": -1.0}, arrays), ({"unit": "1"}, arrays),
        ({"series": 3}, arrays), ({"aware": 1}, arrays), ({}, arrays[:2]), ({}, [*arrays, arrays[0]]),
        ({}, [np.append(arrays[0], 1.0), *arrays[1:]]), ({}, [arrays[0].astype(np.float32), *arrays[1:]]),
        ({}, [arrays[0], arrays[1][:, :1], arrays[2]]), ({}, [*arrays[:2], np.array([-(2**63)])]),
        ({}, [*arrays[:2], np.array([1, 2])]),
    ]  # fmt: skip
    assert model.stream(pack(model.fingerprint, "forecast", facts, arrays)).steps == 40
    for change, others in changes:
        with pytest.raises(OstinatoError) as caught:
            model.stream(pack(model.fingerprint, "forecast", facts | change, others))
        assert caught.value.code == "damaged", change
    del facts["top"]
    with pytest.raises(SnapshotError):
        model.stream(pack(model.fingerprint, "forecast", facts, arrays))


HOURS = np.datetime64("2021-03-01", "h") + np.arange(40)
LATE = np.concatenate([DAYS, DAYS + np.timedelta64(40, "D")])
WAYS = {
    "counted": ({}, None), "no times": ({"timed": True}, None), "days": ({"timed": True}, DAYS),
    "text": ({"timed": True}, DAYS.astype(str)), "local days": ({"timed": True}, [f"{d}T00:00+02:00" for d in DAYS]),
    "hours": ({"timed": True, "freq": "h"}, HOURS), "moments": ({"timed": True, "freq": "h"}, [f"{h}Z" for h in HOURS]),
    "objects": ({"timed": True}, DAYS.astype("datetime64[us]").tolist()),
    "any times": ({"timed": True, "cleaning": Cleaning(gaps="as-is")}, np.delete(LATE, 9)),
    "some times": ({"timed": True}, [None, None, *DAYS[:30], None, DAYS[31]]),
    "filled": ({"timed": True, "cleaning": Cleaning(gaps="fill")}, np.delete(LATE, [9, 20])),
    "whole numbers": ({}, list(range(5, 45))),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("series", [None, "a"])
def test_plain_values_are_taken_as_those_that_are_looked_at_one_by_one(way, series, monkeypatch):
    given, times = WAYS[way]
    model = forecaster(**given)
    if series is not None and times is not None:
        times = None
    n = 34 if times is None else min(len(times), len(VALUES))
    values, times = VALUES[:n], None if times is None else times[:n]
    plain, other = model.stream(series=series), model.stream(series=series)
    several = [model.stream(series=series) for _ in range(3)]
    together = [
        step_together(several, [v] * 3, None if times is None else [times[i]] * 3) for i, v in enumerate(values)
    ]
    found = plain.run(values, times)
    monkeypatch.setattr(ForecasterStream, "_plan", ForecasterStream._planned)
    want = other.run(values, times)
    assert plain.snapshot() == other.snapshot()
    assert {stream.snapshot() for stream in several} == {plain.snapshot()}
    assert any(one is not None for one in want)
    for one, three, right in zip(found, together, want, strict=True):
        same(one, right)
        for each in three:
            same(each, right)


_DATES = 'Write it as "2024-01", "2024-01-31" or "2024-01-31 05:00"'


@pytest.mark.parametrize(
    ("kind", "time_format", "wrong", "advice", "right"),
    [
        ("D", None, ["31/01/2024", "x", "", "2024-02-31", 5, 1.5, 20240131, True, b"x"], _DATES, "2024-01-31"),
        ("1", None, ["2024-01-31", "x", "", 1.5, 20240131], "Count on in whole numbers", 7),
        ("D", "%d.%m.%Y", ["2024-01-31", "x", 5], "Write it in the form '%d.%m.%Y'", "31.01.2024"),
    ],
)
def test_the_advice_on_a_wrong_time_is_for_a_stream(kind, time_format, wrong, advice, right):
    model = forecaster(timed=kind == "D")
    columns = Columns(time="ds", time_format=time_format)
    model = replace(model, reading=replace(model.reading, columns=columns))
    for time in wrong:
        with pytest.raises(DataError) as caught:
            model.stream().step(1.0, time)
        assert caught.value.code in ("time", "freq")
        assert caught.value.fix == f"{advice}, as in training, or leave 'ds' out for the next step."
    for time in (right, None):  # both pieces of advice lead on
        model.stream().step(1.0, time)


@pytest.mark.parametrize("value", ["5", True, 1j, dt.date(2024, 1, 1)])
def test_the_advice_on_a_value_that_is_no_number_is_for_a_stream(value):
    stream = forecaster().stream()
    with pytest.raises(DataError, match="values must be real numbers") as caught:
        stream.step(value)
    assert caught.value.code == "dtype"
    assert not re.search(r"column|target|freq", str(caught.value))
    stream.step(5.0)
