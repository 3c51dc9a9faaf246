import numpy as np
import pytest
from tests.unit.cli.call import TINY, call


@pytest.fixture(scope="session")
def rows() -> list[str]:
    """80 days of one series as lines of CSV, below "ds,y"."""
    rng = np.random.default_rng(0)
    values = 10.0 + 2.0 * np.sin(2.0 * np.pi * np.arange(80) / 7.0) + rng.normal(0.0, 0.3, 80)
    days = np.datetime64("2020-01-01", "D") + np.arange(80)
    return [f"{day},{value:.4f}" for day, value in zip(days, values, strict=True)]


@pytest.fixture(scope="session")
def csv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("good") / "good.csv"
    path.write_text("\n".join(["ds,y", *rows, ""]))
    return path


@pytest.fixture(scope="session")
def model(csv):
    """A tiny model of `csv`."""
    path = csv.with_name("model.safetensors")
    done = call("fit", "forecast", csv, *TINY, "--out", path, "-q")
    assert done.code == 0, done.err
    return path
