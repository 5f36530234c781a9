"""The synthetic market repeats to the byte, looks like a market, and its truth is true."""

import hashlib
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from data.catalog import Lake
from data.quality import check_lake
from data.synth import VENUE, Market, make_market, write_market
from data.synth_episodes import KINDS
from engine.bars import COLUMNS, INTERVAL_MS
from engine.errors import UsageError
from tests.conftest import REPOSITORY

STEP = INTERVAL_MS["15m"]


@pytest.fixture(scope="module")
def market() -> Market:
    return make_market(np.random.default_rng(11), symbols=16, days=60, also=("1h", "5m"))


def _digest(market: Market) -> str:
    digest = hashlib.sha256()
    for series in market.bars.values():
        for symbol, bars in series.items():
            digest.update(symbol.encode())
            for name in COLUMNS:
                digest.update(getattr(bars, name).tobytes())
    digest.update(market.truth.write_json().encode())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process():
    script = (
        "import numpy as np\nfrom data.synth import make_market\n"
        "from tests.data.test_synth import _digest\n"
        "print(_digest(make_market(np.random.default_rng(3), symbols=5, days=20)))"
    )
    seen = {
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", script],
            cwd=REPOSITORY,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    here = _digest(make_market(np.random.default_rng(3), symbols=5, days=20))
    assert seen == {here + "\n"}
    assert here != _digest(make_market(np.random.default_rng(4), symbols=5, days=20))


def test_bars_are_possible_and_on_their_tick(market, tmp_path):
    lake = Lake(tmp_path, durable=False)
    written = write_market(lake, market)
    assert written == sum(len(b) for s in market.bars.values() for b in s.values())
    for quality in check_lake(lake):
        assert (quality.nans, quality.impossible, quality.misaligned) == (0, 0, 0)
        assert (quality.duplicates, quality.disordered, quality.problem) == (0, 0, "")
        assert all(jump.seam for jump in quality.jumps)
    for symbol, bars in market.bars["15m"].items():
        tick = market.ticks[symbol]
        for name in ("open", "high", "low", "close"):
            ratio = getattr(bars, name) / tick
            assert np.abs(ratio - np.round(ratio)).max() < 1e-4
    truth = pl.read_parquet(tmp_path / "truth" / f"venue={VENUE}" / "episodes.parquet")
    assert truth.equals(market.truth)
    assert lake.funding(VENUE, "BTCUSDT") is not None
    assert any(lake.funding(VENUE, s) is None for s in lake.symbols(VENUE, "15m"))


def test_it_moves_like_a_market(market):
    """Bounds around what 15m bars of real coins show (kurtosis 8 to 370, and so on)."""
    rows = []
    for bars in market.bars["15m"].values():
        moves = np.diff(np.log(bars.close))
        size = np.abs(moves)
        volume = np.log1p(bars.volume[1:])
        rows.append(
            (
                ((moves - moves.mean()) ** 4).mean() / moves.var() ** 2,
                np.corrcoef(size[1:], size[:-1])[0, 1],
                np.corrcoef(size[96:], size[:-96])[0, 1],
                np.corrcoef(size, volume)[0, 1],
                np.median(np.log(bars.high / bars.low)) / np.median(size),
                np.corrcoef(moves[1:], moves[:-1])[0, 1],
            )
        )
    kurtosis, near, far, linked, spread, drift = np.median(rows, axis=0)
    assert 6 < kurtosis < 60
    assert 0.12 < near < 0.5
    assert 0.0 < far < 0.3
    assert 0.35 < linked < 0.8
    assert 1.8 < spread < 2.9
    assert abs(drift) < 0.12
    closes = [
        b.frame().select("ts", "close") for b in market.bars["15m"].values() if len(b) == 5760
    ]
    together = np.corrcoef([np.diff(np.log(f["close"].to_numpy())) for f in closes])
    assert 0.15 < np.median(together[np.triu_indices(len(closes), 1)]) < 0.9


def test_coarser_bars_are_the_sum_of_finer_ones(market):
    for fine, coarse in (("5m", "15m"), ("15m", "1h")):
        length = INTERVAL_MS[coarse]
        for symbol, bars in market.bars[coarse].items():
            naive = (
                market.bars[fine][symbol]
                .frame()
                .group_by(pl.col("ts") // length * length, maintain_order=True)
                .agg(
                    pl.col("open").first(),
                    pl.col("high").max(),
                    pl.col("low").min(),
                    pl.col("close").last(),
                    pl.col("volume").sum(),
                    pl.col("turnover").sum(),
                    pl.len(),
                )
                .filter(pl.col("len") == length // INTERVAL_MS[fine])
                .drop("len")
            )
            got = bars.frame()
            assert got.select(COLUMNS[:5]).equals(naive.select(COLUMNS[:5]))
            assert np.allclose(got["volume"], naive["volume"], rtol=1e-12)
            assert np.allclose(got["turnover"], naive["turnover"], rtol=1e-12)


def test_gaps_and_silent_bars_are_there_and_told(market):
    missing = {s: int((np.diff(b.ts) // STEP - 1).sum()) for s, b in market.bars["15m"].items()}
    told = dict(market.gaps.group_by("symbol").agg(pl.col("bars").sum()).iter_rows())
    assert sum(m > 0 for m in missing.values()) == len(told) >= 2
    for symbol, bars in told.items():
        assert 0 < missing[symbol] <= bars
    silent = [b for b in market.bars["15m"].values() if (b.volume == 0).any()]
    assert silent
    for bars in silent:
        quiet = bars.volume == 0
        assert (bars.high[quiet] == bars.low[quiet]).all()
        assert (bars.turnover[quiet] == 0).all()


def test_every_kind_is_planted_and_some_together(market):
    assert set(market.truth["kind"]) == set(KINDS)
    starts = market.truth.filter("market_wide")["start_ts"]
    assert 0.05 < len(starts) / len(market.truth) < 0.6
    # Together: the coins of one crash begin within a few bars of each other.
    assert len(set((starts // (8 * STEP)).to_list())) < 0.7 * len(starts)


def test_the_truth_is_in_the_bars(market):
    checked = 0
    for row in market.truth.iter_rows(named=True):
        bars = market.bars["15m"][row["symbol"]]
        at = {int(ts): i for i, ts in enumerate(bars.ts)}
        keys = ["start_ts", "trough_ts", "end_ts"]
        if any(row[k] not in at for k in keys):
            continue  # a gap took one of its bars
        start, trough, end = (at[row[k]] for k in keys)
        peak = bars.close[start - 1]
        assert abs(peak / row["peak"] - 1) < 1e-3
        assert bars.close[trough] / peak - 1 == pytest.approx(-row["drop_fraction"], abs=5e-3)
        assert row["drop_fraction"] > 0.06
        if row["floor"] is None or row["base_end_ts"] not in at or row["base_start_ts"] not in at:
            continue
        base = slice(at[row["base_start_ts"]] + 1, at[row["base_end_ts"]] + 1)
        width = row["ceiling"] - row["floor"]
        closes = bars.close[base]
        assert closes.max() <= row["ceiling"] + 0.02 * width
        assert closes.min() >= row["floor"] - (0.6 if row["kind"] == "spring" else 0.02) * width
        assert row["floor_touches"] + row["ceiling_touches"] >= 2
        after = bars.close[base.stop : end + 1]
        if row["kind"] in ("breakout", "spring"):
            assert after.max() > row["ceiling"] + 0.4 * width
        if row["kind"] == "failed_breakout":
            assert after[:3].max() > row["ceiling"]
        if row["kind"] in ("failed_breakout", "breakdown"):
            assert after[-1] < row["floor"]
        checked += 1
    assert checked > 40


@pytest.mark.parametrize(
    "wrong",
    [{"symbols": 0}, {"days": 0.01}, {"also": ("3m", "5m")}, {"start_ms": 1_767_225_600_001}],
)
def test_what_cannot_be_made_is_told(wrong):
    with pytest.raises(UsageError):
        make_market(np.random.default_rng(1), **{"symbols": 2, "days": 10, **wrong})


def test_any_interval_can_be_the_main_one():
    for interval in ("1m", "5m", "1h", "1d"):
        days = {"1m": 3, "1d": 900}.get(interval, 60)
        market = make_market(np.random.default_rng(1), symbols=2, days=days, interval=interval)
        assert len(market.bars[interval]["BTCUSDT"]) == days * 86_400_000 // INTERVAL_MS[interval]
        assert len(market.truth) > 0
