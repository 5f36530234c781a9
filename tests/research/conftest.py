"""One small synthetic lake and one filed run of it, shared by the tests of a worker."""

import numpy as np
import pytest

from data.catalog import Lake
from data.synth import make_market, write_market
from research.backtest import backtest

MARKET = {"symbols": 10, "days": 75, "interval": "15m", "also": ("5m",)}


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("synth") / "lake")
    write_market(lake, make_market(np.random.default_rng(7), **MARKET))
    return lake


@pytest.fixture(scope="session")
def filed(lake, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return backtest(lake, runs=runs, run_name="one", command="zion backtest --again")
