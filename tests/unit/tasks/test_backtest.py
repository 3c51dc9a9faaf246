import re

import numpy as np
import pytest
from tests.unit.tasks.tiny import Windows, days, quick, same, table, wave

from ostinato.data.framing import ANCHORS
from ostinato.errors import DataError, DataWarning
from ostinato.metrics.rivals import drift, naive, seasonal_naive, theta
from ostinato.tasks.forecasting.backtest import Score, verdict


@pytest.fixture(scope="module")
def model():
    return quick(windows=Windows(test=8)).fit(table())


def test_every_forecast_is_in_the_table(model):
    found = model.evaluation_.backtest
    assert found.columns == ("unique_id", "ds", "cutoff", "y", *model.forecaster_.columns())
    assert model.evaluation_.windows == 2 * 6
    assert len(found) == 2 * 6 * 3
    rows = {name: found[name].reshape(2, 6, 3) for name in found.columns}
    fit = table()
    for i, name in enumerate(("north", "south")):
        assert (rows["unique_id"][i] == name).all()
        for k in range(6):
            origin = 72 + k
            assert (rows["cutoff"][i, k].astype("datetime64[D]") == days()[origin - 1]).all()
            assert (rows["ds"][i, k].astype("datetime64[D]") == days()[origin : origin + 3]).all()
            assert (rows["y"][i, k] == fit[name][origin : origin + 3]).all()


def test_scores_follow_from_the_table(model):
    found, own = model.evaluation_.backtest, model.evaluation_.scores[0]
    error = np.abs(found["LSTM"] - found["y"])
    assert own.name == "LSTM"
    assert own.mae == pytest.approx(error.mean())
    assert own.rmse == pytest.approx(np.sqrt((error**2).mean()))
    inside = (found["LSTM-lo-80"] <= found["y"]) & (found["y"] <= found["LSTM-hi-80"])
    assert own.coverage[80.0] == pytest.approx(inside.mean())
    fit = table()
    scale = [np.abs(fit[name][7:72] - fit[name][:65]).mean() for name in ("north", "south")]
    scaled = error.reshape(2, -1) / np.array(scale)[:, None]
    assert own.mase == pytest.approx(scaled.mean())
    assert model.evaluation_.by_horizon["LSTM"] == pytest.approx(scaled.reshape(-1, 3).mean(0).tolist())
    assert model.score() == pytest.approx(1.0 - own.mase)
    alone = quick().fit(wave()).evaluation_
    assert alone.by_horizon["LSTM"] == pytest.approx(
        np.abs(alone.backtest["LSTM"] - alone.backtest["y"]).reshape(-1, 3).mean(0).tolist()
    )


def test_rivals_know_the_history_up_to_each_origin(model):
    fit = table()
    methods = {
        "naive": naive, "seasonal naive": lambda y, h: seasonal_naive(y, h, season=7), "drift": drift,
        "theta": lambda y, h: theta(y, h, season=7),
    }  # fmt: skip
    assert [s.name for s in model.evaluation_.scores] == ["LSTM", *methods]
    for score in model.evaluation_.scores[1:]:
        errors = [
            methods[score.name](fit[name][:origin], 3).point - fit[name][origin : origin + 3]
            for name in ("north", "south")
            for origin in range(72, 78)
        ]
        assert score.mae == pytest.approx(np.abs(errors).mean())


def test_without_a_season_there_is_no_seasonal_rival():
    found = quick(windows=Windows(season=1)).fit(table()).evaluation_
    assert [s.name for s in found.scores] == ["LSTM", "naive", "drift", "theta"]


def test_step_between_origins():
    found = quick(windows=Windows(test=9, step=4)).fit(wave()).evaluation_
    assert found.windows == 2
    assert np.unique(found.backtest["cutoff"]).tolist() == [72, 76]
    far = quick(windows=Windows(test=9, step=1000)).fit(wave()).evaluation_
    assert np.unique(far.backtest["cutoff"]).tolist() == [76]
    assert quick(windows=Windows(test=200)).fit(wave(600)).evaluation_.windows <= 50


def test_evaluate_on_other_data(model, recwarn):
    with pytest.warns(
        DataWarning, match=r"2 of 2 series \(first: 'north'\) have test steps that the model was trained on"
    ):
        again = model.evaluate(table())
    assert again.windows == model.evaluation_.windows
    recwarn.clear()
    later = {k: np.concatenate([v, v[-8:] + (8 if k == "ds" else 0)]) for k, v in table().items()}
    assert model.evaluate(later).windows == 12
    assert not recwarn.list
    reaches_back = {k: v[:-1] for k, v in later.items()}
    with pytest.warns(DataWarning, match="trained on"):
        model.evaluate(reaches_back)
    with pytest.warns(DataWarning, match="not in training"):
        new = model.evaluate({"ds": days(40), "west": wave(40)})
    assert np.isfinite(new.scores[0].mase)
    assert model.score(later) == pytest.approx(1.0 - model.evaluate(later).scores[0].mase)


@pytest.mark.parametrize("anchor", ANCHORS)
def test_short_series_are_evaluated_as_soon_as_one_window_fits(anchor):
    model = quick(horizon=6, windows=Windows(anchor=anchor, length=7)).fit(table())
    reach = model.forecaster_.framing.reach
    with pytest.warns(DataWarning, match="not in training"):
        found = model.evaluate({"ds": days(reach + 6), "west": wave(reach + 6)})
    assert found.windows == 1
    assert np.isfinite(found.scores[0].mase)
    with pytest.raises(DataError, match=rf"\[short\].*{reach} steps of history and 6"):
        model.evaluate({"ds": days(reach + 5), "west": wave(reach + 5)})


def test_a_series_that_repeats_itself_has_no_mase():
    exact = np.tile(np.arange(7.0), 12)
    found = quick().fit({"ds": days(84), "a": exact, "b": wave(84)})
    evaluation = found.evaluation_
    assert evaluation.unscaled == evaluation.windows // 2
    assert np.isfinite(evaluation.scores[0].mase)
    assert "left out of MASE" in found.report()
    alone = quick(windows=Windows(season=7)).fit(exact).evaluation_
    assert np.isnan(alone.scores[0].mase)
    assert alone.unscaled == alone.windows
    assert alone.scores[0].mae < 1e-3
    assert alone.text()
    assert re.match(r"The network (wins|does not win): MAE", alone.verdict)


@pytest.mark.parametrize("level", [0.0, 5.0, -1e20])
def test_constant_series(level):
    found = quick().fit({"ds": days(), "y": np.full(80, level)})
    assert found.predict()["LSTM"] == pytest.approx([level] * 3, rel=1e-6, abs=1e-6)
    assert found.report()
    assert found.summary()


def score(name, mae, mase=float("nan")):
    return Score(name, mae, mae, mae, mase, {})


def test_verdicts():
    rivals = [score("naive", 4.0, 2.0), score("theta", 2.0, 1.0)]
    win = verdict([score("LSTM", 1.0, 0.9), *rivals], many=False)
    assert win == "The network wins: MAE 1 against 2 for theta, the best rival (50 % less)."
    lose = verdict([score("LSTM", 1.0, 1.5), *rivals], many=True)
    assert lose.startswith("The network does not win: MASE 1.5 against 1 for theta")
    assert "50 % more" in lose
    assert "(a tie)" in verdict([score("LSTM", 2.0), *rivals], many=False)
    assert "MAE" in verdict([score("LSTM", 1.0), *rivals], many=True)
    exact = verdict([score("LSTM", 0.1), score("naive", 0.0)], many=False)
    assert "does not win: MAE 0.1 against 0 for naive" in exact
    assert "inf" not in exact


def test_a_verdict_says_where_a_rival_is_closer_to_the_mean():
    """On series that are mostly zero, forecasting zero has the smallest absolute error."""
    theta, own = score("theta", 2.0), score("LSTM", 1.0)
    assert verdict([own, theta], many=False).endswith("less).")
    split = verdict([own._replace(rmse=3.0), theta._replace(rmse=2.5)], many=False)
    assert split.endswith("But theta is closer to the mean: RMSE 2.5 against 3.")


def test_text_and_table(model):
    text = model.evaluation_.text()
    assert text.startswith(model.evaluation_.verdict)
    assert model.summary().startswith(f"{text}\n\nTraining ")
    assert all(s.name in text for s in model.evaluation_.scores)
    found = model.evaluation_.table
    assert found.columns == ("model", "mae", "rmse", "smape", "mase", "coverage-80", "coverage-95")
    assert len(found) == 5


def test_order_of_series_does_not_matter_to_the_scores(model):
    fit = table()
    with pytest.warns(DataWarning):
        one = model.evaluate(fit)
    with pytest.warns(DataWarning):
        two = model.evaluate({k: fit[k] for k in ("ds", "south", "north")})
    for a, b in zip(one.scores, two.scores, strict=True):
        assert a[1:5] == pytest.approx(b[1:5], rel=1e-5)
    same({"a": one.by_horizon["naive"]}, {"a": one.by_horizon["naive"]})


def test_cross_validation_is_the_backtest_of_its_own_fit():
    model = quick()
    found = model.cross_validation(table(), n_windows=4, step_size=2)
    same(found, quick(windows=Windows(test=9, step=2)).fit(table()).evaluation_.backtest.to_dict())
    cutoffs = np.unique(found["cutoff"]).astype("datetime64[D]")
    assert list(cutoffs) == [days()[80 - 3 - 1 - 2 * k] for k in (3, 2, 1, 0)]
    assert not [name for name in vars(model) if name.endswith("_")]
