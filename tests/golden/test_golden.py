"""The detector says today what it said when the golden files were written (`make golden`)."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.messages import EventKind
from tests.golden.made import HERE, PROFILES, REAL, key, made_up_events, real_summary


@pytest.mark.parametrize("profile", PROFILES)
def test_the_made_up_market(profile: str) -> None:
    got = made_up_events(profile)
    want = pl.read_csv(HERE / f"events-{profile}.csv", schema=got.schema)
    assert got.height == want.height
    for name in got.columns:
        a, b = got[name].to_numpy(), want[name].to_numpy()
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_the_made_up_market_is_worth_its_name() -> None:
    kinds = {k for p in PROFILES for k in made_up_events(p)["kind"].to_list()}
    assert kinds >= {int(k) for k in EventKind} - {int(EventKind.RESET), int(EventKind.LEVEL)}


@pytest.mark.realdata
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("venue", "interval", "symbol"), REAL)
def test_real_markets(
    shared_lake: Path, venue: str, interval: str, symbol: str, profile: str
) -> None:
    wanted = json.loads((HERE / "real.json").read_text(encoding="utf-8"))
    got = real_summary(shared_lake, venue, interval, symbol, profile)
    want = wanted[key(venue, interval, symbol, profile)]
    if got["bars"] != want["bars"]:
        pytest.skip("this lake holds another stretch of history than the golden file was made from")
    assert got == want
