import itertools
import pickle
import subprocess
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.unit.tasks.tiny import QUICK, Training, Windows, days, judged, quick, same, table, wave

from ostinato import Forecast
from ostinato.cells import CELLS
from ostinato.cells.lstm import LSTM
from ostinato.data import Cleaning, Columns
from ostinato.data.frames import Table
from ostinato.errors import ArgumentError, DataError, DataWarning, ModelFileError, NotFittedError
from ostinato.runtime import load
from ostinato.tasks.checks import check_kind, check_number, check_whole


@pytest.fixture(scope="module")
def model():
    return quick().fit(table())


def test_the_table_that_comes_out(model):
    found = model.predict()
    names = ["unique_id", "ds", "LSTM", "LSTM-lo-95", "LSTM-lo-80", "LSTM-hi-80", "LSTM-hi-95"]
    assert list(found) == names
    assert found["unique_id"].tolist() == ["north"] * 3 + ["south"] * 3
    assert (found["ds"].astype("datetime64[D]") == np.tile(days(83)[80:], 2)).all()
    rising = np.stack([found[n] for n in ("LSTM-lo-95", "LSTM-lo-80", "LSTM", "LSTM-hi-80", "LSTM-hi-95")])
    assert np.isfinite(rising).all()
    assert (np.diff(rising, axis=0) >= 0.0).all()


def test_test_steps_reach_neither_weights_nor_choices_nor_units():
    one = quick().fit(table())
    test = one.fit_.plan.test
    changed = table()
    for name in ("north", "south"):
        changed[name] = changed[name].copy()
        changed[name][-test:] = 1000.0 + changed[name][-test:] ** 2
    two = quick().fit(changed)
    assert one.fit_.plan == two.fit_.plan
    for a, b in zip(judged(one), judged(two), strict=True):
        assert (a == b).all()
    assert one.fit_.calibrated == two.fit_.calibrated
    first = [m.evaluation_.backtest for m in (one, two)]
    origin = first[0]["cutoff"] == days()[-test - 1]
    assert origin.sum() == 6
    for name in one.forecaster_.columns():
        assert (first[0][name][origin] == first[1][name][origin]).all()
    assert not np.array_equal(one.forecaster_.known.tails, two.forecaster_.known.tails)


def test_evaluation_uses_the_networks_that_did_not_see_the_test(model):
    final = [w for m in model.forecaster_.members for layer in m for w in layer.values()]
    assert any((a != b).any() for a, b in zip(final, judged(model), strict=True))


def test_same_seed_same_bytes(tmp_path):
    for name in ("a", "b"):
        quick(training=Training(epochs=2, members=2, seed=5)).fit(table()).save(tmp_path / name)
    quick(training=Training(epochs=2, members=2, seed=6)).fit(table()).save(tmp_path / "c")
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"units": (5, 3), "training": Training(epochs=1, members=3)},
        {"cell": "gru", "windows": Windows(log="yes", anchor="last")},
        {"windows": Windows(anchor="mean", test=-1), "level": 50},
    ],
)
def test_saved_and_loaded_predicts_the_same_bits_without_torch(options, tmp_path):
    model = quick(**options).fit(table())
    path = tmp_path / "m.safetensors"
    model.save(path)
    want = model.predict()
    again = Forecast.load(path)
    same(want, load(path).predict().to_dict())
    same(want, {c: again.predict()[c].to_numpy() for c in want})
    continued = {k: np.concatenate([v, v[-9:] + (9 if k == "ds" else 0)]) for k, v in table().items()}
    same(model.predict(continued), again.predict(continued))
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    code = (
        "import sys; from ostinato.runtime import load; sys.stdout.write(load(sys.argv[1]).predict().csv_text());"
        "assert not {'torch', 'polars', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == Table(want).csv_text()


def test_a_loaded_task_is_the_task_that_was_saved(model, tmp_path):
    task = quick(
        units=(4,), level=(80.0, 97.5), training=Training(epochs=1, members=1, seed=3, learning_rate=0.01),
        windows=Windows(season=7, test=-1, log="no"), cleaning=Cleaning(missing="mask"),
    ).fit(table())  # fmt: skip
    task.save(tmp_path / "m")
    params, want = Forecast.load(tmp_path / "m").get_params(), task.get_params()
    assert params.pop("columns") == Columns(None, "ds", None)
    assert want.pop("columns")
    for group in (params, want):
        for name in [n for n in group if n.startswith("columns__")]:
            del group[name]
    assert params == want
    again = Forecast.load(tmp_path / "m")
    with pytest.raises(NotFittedError, match="from a file"):
        again.explain_choices()
    with pytest.raises(NotFittedError, match="from a file"):
        again.report()
    with pytest.raises(ArgumentError, match="held nothing out"):
        again.evaluate()
    again.fit(table())
    same(again.predict(), task.predict())


def test_a_model_that_was_moved_by_pickle_still_predicts(model):
    same(pickle.loads(pickle.dumps(model)).predict(), model.predict())


def frames(data, folder):
    csv, parquet = folder / "d.csv", folder / "d.parquet"
    frame = pl.DataFrame(data)
    frame.write_csv(csv)
    frame.write_parquet(parquet)
    return {
        "dict": (data, dict),
        "pandas": (pd.DataFrame(data), pd.DataFrame),
        "polars": (frame, pl.DataFrame),
        "pyarrow": (frame.to_arrow(), pa.Table),
        "csv": (csv, pl.DataFrame),
        "text": (str(parquet), pl.DataFrame),
    }


def test_the_kind_of_frame_that_came_in_comes_out(model, tmp_path):
    want = model.predict()
    for source, kind in frames(table(), tmp_path).values():
        found = quick().fit(source)
        for result in (found.predict(), found.predict(source)):
            assert type(result) is kind
            columns = {name: np.asarray(result[name]) for name in want}
            np.testing.assert_array_equal(columns["LSTM"], want["LSTM"])
            np.testing.assert_array_equal(columns["LSTM-hi-95"], want["LSTM-hi-95"])
            assert [str(name) for name in columns["unique_id"]] == want["unique_id"].tolist()


def test_long_and_wide_are_one(model):
    wide = table()
    long = {
        "unique_id": ["north"] * 80 + ["south"] * 80,
        "ds": np.tile(wide["ds"], 2),
        "y": np.concatenate([wide["north"], wide["south"]]),
    }
    same(quick().fit(long).predict(), model.predict())


def test_arrays(model):
    found = quick().fit(wave())
    assert found.predict()["ds"].to_list() == [80, 81, 82]
    both = quick().fit(np.stack([wave(), wave(seed=1, level=20.0)], axis=1))
    assert both.predict()["unique_id"].unique(maintain_order=True).to_list() == ["0", "1"]


def test_other_histories(model):
    fit = table()
    longer = {k: np.concatenate([v, v[-1:] + (1 if k == "ds" else 0)]) for k, v in fit.items()}
    assert (model.predict(longer)["ds"][:1].astype("datetime64[D]") == days(82)[-1:]).all()
    same(model.predict(fit), model.predict())
    part = model.predict({k: fit[k] for k in ("ds", "south")})
    np.testing.assert_allclose(part["LSTM"], model.predict()["LSTM"][3:], rtol=1e-5)
    reach = model.forecaster_.framing.reach
    same(model.predict({k: v[-reach:] for k, v in fit.items()}), model.predict())
    with pytest.warns(DataWarning, match=r"1 of 1 series were not in training \(first: 'west'\)"):
        new = model.predict({"ds": days(60), "west": wave(60, seed=9, level=50.0)})
    assert 40.0 < new["LSTM"].min() < new["LSTM"].max() < 60.0
    with pytest.raises(DataError, match=rf"\[short\].*at least {reach} steps.*'south'"):
        model.predict({"ds": days(reach - 1), "south": wave(reach - 1)})
    with pytest.raises(DataError, match=r"\[column\]"):
        model.predict({"when": days(80), "south": wave()})
    hours = np.datetime64("2020-01-01", "h") + np.arange(80)
    with pytest.raises(DataError):
        model.predict({"ds": hours, "south": wave()})
    with pytest.raises(DataError, match=r"\[freq\]"):
        model.predict(wave())


def test_prediction_of_a_series_does_not_depend_on_its_company(model):
    fit = table()
    alone = model.predict({"ds": fit["ds"], "north": fit["north"]})
    np.testing.assert_allclose(alone["LSTM"], model.predict()["LSTM"][:3], rtol=1e-5)


def test_a_shift_of_the_series_shifts_the_forecast():
    options = {"windows": Windows(log="no", anchor="season")}
    one = quick(**options).fit({"ds": days(), "y": wave()}).predict()["LSTM"]
    two = quick(**options).fit({"ds": days(), "y": wave() + 1000.0}).predict()["LSTM"]
    np.testing.assert_allclose(two - 1000.0, one, rtol=1e-3)
    log = {"windows": Windows(log="yes", anchor="season")}
    one = quick(**log).fit({"ds": days(), "y": wave()}).predict()["LSTM"]
    two = quick(**log).fit({"ds": days(), "y": wave() * 1000.0}).predict()["LSTM"]
    np.testing.assert_allclose(two / 1000.0, one, rtol=1e-3)


def test_logarithms_refuse_what_they_cannot_take():
    model = quick(windows=Windows(log="yes")).fit(table())
    bad = table()
    bad["north"] = bad["north"].copy()
    bad["north"][5] = 0.0
    for use in (model.predict, model.evaluate):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            with pytest.raises(DataError, match=r"\[domain\].*'north', 2020-01-06"):
                use(bad)


def test_a_forecast_beyond_all_numbers_is_refused():
    windows = Windows(log="yes", anchor="season", season=2)
    model = quick(horizon=12, windows=windows).fit({"ds": days(100), "y": wave(100)})
    steep = np.full(100, 1e-37)
    steep[-2:] = 3e38
    with pytest.raises(DataError, match=r"\[overflow\]"):
        model.predict({"ds": days(100), "y": steep})
    later = {"ds": days(304)[200:], "y": np.concatenate([steep[10:], wave(14)])}
    with pytest.raises(DataError, match=r"\[overflow\]"):
        model.evaluate(later)


def test_a_history_of_another_size_gives_numbers():
    model = quick(windows=Windows(log="no")).fit({"ds": days(), "y": wave()})
    for size in (1e-30, 1e30, 2e37):
        data = {"ds": days(), "y": wave() * size}
        found = model.predict(data)
        assert all(np.isfinite(found[name]).all() for name in model.forecaster_.columns())


def test_unobserved_steps_do_not_count():
    values = table()["north"]
    hidden, filled = values.copy(), values.copy()
    for at in (20, 21, 50, 77):
        hidden[at] = np.nan
        filled[at] = filled[at - 1] if at != 21 else filled[19]
    model = quick(cleaning=Cleaning(missing="mask")).fit({"ds": days(), "y": hidden})
    table_ = model.evaluation_.backtest
    assert np.isnan(table_["y"]).sum() == (table_["ds"] == days()[77]).sum() > 0
    known = ~np.isnan(table_["y"])
    assert model.evaluation_.scores[0].mae == pytest.approx(np.abs(table_["y"] - table_["LSTM"])[known].mean())
    other = quick().fit({"ds": days(), "y": filled})
    assert any((a != b).any() for a, b in zip(judged(model), judged(other), strict=True))


def test_all_test_steps_missing_is_an_error_and_not_nan():
    values = wave()
    values[-4:] = np.nan
    with pytest.raises(DataError):
        quick(cleaning=Cleaning(missing="mask"), windows=Windows(test=3)).fit({"ds": days(), "y": values})


def test_levels():
    found = quick(level=(97.5, 50, 98)).fit({"ds": days(), "y": wave()})
    names = ["LSTM-lo-98", "LSTM-lo-97.5", "LSTM-lo-50", "LSTM", "LSTM-hi-50", "LSTM-hi-97.5", "LSTM-hi-98"]
    assert found.forecaster_.columns() == names
    rows = np.stack([found.predict()[n] for n in names])
    assert (np.diff(rows, axis=0) >= 0.0).all()
    assert "97.5" in found.report()
    assert quick(level=80).fit(wave()).predict().columns == ["unique_id", "ds", "LSTM", "LSTM-lo-80", "LSTM-hi-80"]


def test_stacks_and_cells():
    stack = quick(units=(5, 3), cell=LSTM(99)).fit(wave())
    assert [part.cell.units for part in stack.forecaster_.parts[:-1]] == [5, 3]
    for name in CELLS:
        found = quick(cell=name).fit(wave())
        assert type(found.forecaster_.parts[0].cell) is CELLS[name]
        assert np.isfinite(found.predict()[CELLS[name].__name__].to_numpy()).all()
    numpy = quick(units=np.int64(4), horizon=np.int64(3), training=Training(epochs=np.int64(2), members=1)).fit(wave())
    assert numpy.predict().equals(quick().fit(wave()).predict())
    numpy.to_bundle()


@dataclass(frozen=True)
class Leak(LSTM):
    """The user's own: an LSTM whose output leaks."""

    def step(self, xp, a, U, state, **extra):
        h, c = super().step(xp, a, U, state, **extra)
        return 0.9 * h, c


def test_a_cell_of_the_user_trains_but_cannot_be_saved(tmp_path):
    model = quick(cell=Leak(4)).fit({"ds": days(), "y": wave()})
    assert list(model.predict())[2] == "Leak"
    with pytest.raises(ModelFileError) as caught:
        model.save(tmp_path / "m")
    assert caught.value.code == "custom_layer"
    assert not list(tmp_path.iterdir())


def test_thirty_series():
    names = tuple(f"s{i:02}" for i in range(30))
    data = table(60, names=names)
    model = quick().fit(data)
    assert len(model.predict()["LSTM"]) == 90
    assert model.predict()["unique_id"].tolist() == list(itertools.chain(*([n] * 3 for n in names)))
    assert "MASE" in model.evaluation_.verdict
    assert "30 series" in model.report()


def test_refused_options():
    bad = {
        "horizon": (0, -1, 2.5, "3", None, True, 2**40),
        "cell": ("foo", 3, None, [], LSTM),
        "units": (0, -3, "a", None, (), (4, 0), 1.5, True, 50_000_000),
        "level": (0, 100, -5, (), "80", None, (80, 101), float("nan"), (80, 80.0000001)),
        "columns": (None, "y", {}),
        "cleaning": (None, Cleaning(missing="no"), Cleaning(gaps="fill", missing="drop")),
        "windows": (None, Windows(length=-1), Windows(log=True)),
        "training": (
            None, {}, Training(epochs=0), Training(seed=-1), Training(seed=2**32), Training(learning_rate=float("nan")),
            Training(learning_rate=float("inf")), Training(weight_decay=-1.0), Training(clip_norm="1"),
            Training(batch_size=0), Training(patience=0), Training(members=-1), Training(members=1025),
        ),
    }  # fmt: skip
    for name, values in bad.items():
        for value in values:
            with pytest.raises(ArgumentError) as caught:
                quick(**{name: value}).fit(table())
            assert caught.value.rule
            assert caught.value.got
            assert caught.value.fix


def test_names_that_would_meet():
    data = {"LSTM": days(), "y": wave()}
    with pytest.raises(ArgumentError, match="'LSTM' twice"):
        quick().fit(data)
    with pytest.raises(ArgumentError, match="'unique_id' twice"):
        quick(columns=Columns(time="unique_id")).fit({"unique_id": days(), "y": wave()})


def test_times_that_cannot_go_on():
    late = np.datetime64("9999-12-31", "D") - np.arange(80)[::-1]
    with pytest.raises(DataError, match=r"\[time\]"):
        quick().fit({"ds": late, "y": wave()})
    months = np.datetime64("2000-01", "M") + np.arange(80)
    odd = months.astype("datetime64[D]")
    odd[-1] += 30
    with pytest.raises(DataError, match=r"\[freq\]"):
        quick(cleaning=Cleaning(gaps="as-is")).fit({"ds": odd, "y": wave()})


def test_unfitted():
    for use in (
        Forecast().predict, Forecast().evaluate, Forecast().score, Forecast().summary, Forecast().report,
        Forecast().explain_choices, Forecast().to_bundle,
    ):  # fmt: skip
        with pytest.raises(NotFittedError, match="fitted"):
            use()


def test_a_fit_that_fails_leaves_the_last_one():
    model = quick().fit(table())
    want = model.predict()
    with pytest.raises(DataError):
        model.fit({"ds": days(12), "y": wave(12)})
    same(model.predict(), want)
    assert model.summary()


def test_choices_and_report(model, tmp_path):
    rows = model.explain_choices()
    assert [set(row) for row in rows] == [{"what", "chosen", "why"}] * len(rows)
    assert {"season", "effects", "anchor", "networks", "epochs", "kernel of LSTM", "intervals"} <= {
        r["what"] for r in rows
    }
    html = model.report(tmp_path / "r.html", command="ostinato fit <b>")
    assert (tmp_path / "r.html").read_text() == html
    assert html.startswith(("<!doctype html>", "<!DOCTYPE html>"))
    assert "ostinato fit &lt;b&gt;" in html
    assert model.evaluation_.verdict.split(":")[0] in html


def test_a_report_names_only_what_was_done_to_the_data():
    data = table(60)
    html = quick().fit(data).report()
    assert "time order" not in html
    assert "Asked for" not in html
    turned = {name: values[::-1] for name, values in data.items()}
    assert "Rows were put in time order." in quick().fit(turned).report()
    data["north"][5] = np.nan
    html = quick(cleaning=Cleaning(missing="interpolate")).fit(data).report()
    assert "Asked for, where the data needed it: missing = interpolate." in html


def test_no_test_part():
    model = quick(windows=Windows(test=-1)).fit(table())
    assert model.evaluation_ is None
    assert "Not evaluated" in model.summary()
    assert "Not evaluated" in model.report()
    with pytest.raises(ArgumentError):
        model.evaluate()
    for a, b in zip(judged(model), [w for layer in model.forecaster_.members[0] for w in layer.values()], strict=True):
        assert (a == b).all()


def test_small_data_is_calibrated_by_leaving_parts_out():
    model = quick(training=Training(epochs=1, members=2), windows=Windows(test=-1)).fit(wave(120))
    assert "five parts" in model.fit_.calibrated
    assert "validation steps" in quick(training=QUICK).fit(wave(120)).fit_.calibrated
    assert len(quick(training=Training(epochs=1), windows=Windows(test=-1)).fit(wave(80)).fit_.trained) == 5


def test_checks_say_what_must_be():
    with pytest.raises(ArgumentError, match="n must be a whole number of at least 1, got 0"):
        check_whole("n", 0, least=1)
    with pytest.raises(ArgumentError, match="n must be a whole number from 0 to 9, got 10"):
        check_whole("n", 10, least=0, most=9)
    with pytest.raises(ArgumentError, match="x must be a finite number"):
        check_number("x", float("inf"))
    with pytest.raises(ArgumentError, match="o must be an object of type Columns"):
        check_kind("o", {}, Columns)
    check_whole("n", np.int32(3), least=1)
    check_number("x", np.float32(3))
