"""The backtest end to end on a synthetic market, its laws, and what it does with bad input."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.catalog import Lake
from engine.bars import Bars
from engine.errors import DataError, UsageError
from engine.kernels import paths
from engine.pipeline.profile import Known
from research.backtest import backtest
from research.settings import BacktestSettings
from tests.research import recompute_equity

HERE = Path(__file__).parent


def test_fills_alone_give_the_equity_to_the_cent(filed):
    folder = Path(filed.files["fills"]).parent
    script = [sys.executable, str(HERE / "recompute_equity.py"), str(folder), "10000"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout
    assert float(done.stdout) == pytest.approx(filed.equity["equity"][-1], abs=0.005)
    assert len(filed.trades) > 20


def test_a_cent_missing_from_one_fee_is_seen(filed, tmp_path):
    folder = Path(filed.files["fills"]).parent
    for name in ("equity", "trades"):
        shutil.copy(folder / f"{name}.parquet", tmp_path)
    fills = pl.read_parquet(folder / "fills.parquet").with_row_index("row")
    bent = fills.with_columns(
        pl.when(pl.col("row") == 5).then(pl.col("fee") + 0.01).otherwise("fee").alias("fee")
    )
    bent.drop("row").write_parquet(tmp_path / "fills.parquet")
    wrong, _ = recompute_equity.differences(tmp_path, 10_000)
    assert wrong


def test_files_hold_what_the_contract_says(filed):
    document = json.loads((Path(filed.files["report"]).parent / "run.json").read_text())
    for key in (
        "bars",
        "symbols",
        "events",
        "signals",
        "trades",
        "timing",
        "funnel",
        "refusals",
        "metrics",
        "files",
    ):
        assert key in document
    assert {"load_s", "detect_s", "simulate_s", "total_s", "detect_ns_per_bar"} <= set(
        document["timing"]
    )
    assert set(document["files"]) == {"events", "trades", "fills", "equity", "report"}
    fills = pl.read_parquet(document["files"]["fills"])
    assert fills.columns[:9] == [
        "ts", "symbol", "trade_id", "side", "qty", "price", "fee", "liquidity", "kind",
    ]  # fmt: skip
    assert set(fills["side"]) == {"buy", "sell"}
    assert "unknown" not in set(fills["kind"]) | set(fills["symbol"]) | set(fills["liquidity"])
    events = pl.read_parquet(document["files"]["events"])
    assert len(events) == document["events"]
    assert {"t", "kind", "level", "levels"[:5] + "_scored", "params_hash", "symbol"} <= set(
        events.columns
    )
    trades = pl.read_parquet(document["files"]["trades"])
    assert {
        "gross",
        "fees",
        "funding",
        "slippage",
        "net",
        "r",
        "mae_r",
        "mfe_r",
        "exit_reason",
    } <= set(trades.columns)


def test_funnel_refusals_and_trades_add_up(filed):
    assert filed.funnel["breakout"] == len(filed.signals)
    assert len(filed.trades) + sum(filed.refusals.values()) == len(filed.signals)
    assert (
        filed.funnel["entered"]
        == len(filed.trades)
        == (filed.signals["outcome"] == "entered").sum()
    )
    t = filed.trades
    residue = t["gross"] - t["slippage"] - t["fees"] - t["funding"] - t["net"]
    assert residue.abs().max() < 1e-9


def test_same_input_same_bytes(lake, filed):
    again = backtest(lake)
    for name in ("events", "trades", "fills", "equity", "signals"):
        assert getattr(again, name).equals(getattr(filed, name), null_equal=True), name
    assert again.metrics["expectancy_r"] == filed.metrics["expectancy_r"]
    assert again.hashes == filed.hashes


def test_the_future_of_the_data_changes_no_past_trade(lake, filed):
    middle = int(filed.trades["exit_ts"].sort()[len(filed.trades) // 2])
    cut = backtest(lake, end_ms=middle // 900_000 * 900_000)
    done = filed.trades.filter(pl.col("exit_ts") < cut.last_ts - 900_000)
    early = cut.trades.filter(pl.col("exit_ts") < cut.last_ts - 900_000)
    columns = ["symbol", "signal_ts", "entry_ts", "exit_ts", "qty", "entry", "exit", "net", "r"]
    # trade ids count admissions, which open trades at the cut share: compare what happened
    assert early.select(columns).equals(done.select(columns))


def test_a_finer_tick_later_changes_no_earlier_cost(lake, filed, tmp_path):
    symbol = filed.signals["symbol"].mode().sort()[0]
    frame = lake.read("synthetic", "15m", symbol).frame()
    middle = int(filed.signals.filter(pl.col("symbol") == symbol)["t"].max())
    tick = 10.0 ** np.floor(np.log10(float(frame["close"].min()) * 0.002))
    early = pl.col("ts") < middle
    prices = ("open", "high", "low", "close")
    coarse = [
        pl.when(early).then((pl.col(p) / tick).round() * tick).otherwise(pl.col(p)).alias(p)
        for p in prices
    ]
    other = Lake(tmp_path)
    other.write_bars("synthetic", "15m", symbol, frame.with_columns(coarse))
    settings = BacktestSettings(null_runs=20, draws=50, turnover_min_usdt=0.0)
    whole = backtest(other, settings=settings).signals.filter(pl.col("t") <= middle)
    cut = backtest(other, settings=settings, end_ms=middle).signals
    columns = ["t", "symbol", "spread_bps", "sweep_bps"]
    assert len(cut) > 0
    assert cut.select(columns).equals(whole.select(columns), null_equal=True)


def test_never_more_positions_than_allowed_nor_two_in_one_coin(lake):
    settings = BacktestSettings(positions_max=2)
    result = backtest(lake, settings=settings)
    assert result.equity["positions"].max() <= 2
    assert result.refusals.get("positions", 0) > 0
    for _, rows in result.trades.sort("entry_ts").group_by("symbol", maintain_order=True):
        assert (rows["entry_ts"][1:] > rows["exit_ts"][:-1]).all()


def test_a_full_stop_loses_about_the_planned_risk(filed):
    stops = filed.trades.filter(pl.col("exit_reason") == "stop")
    share = -stops["net"].to_numpy() / 10_000
    assert 0.004 < np.median(share) < 0.0055
    assert share.max() < 0.007


def test_settings_and_seed_are_in_the_hash(lake, filed):
    other = backtest(lake, settings=BacktestSettings(seed=8))
    assert other.hashes["params"] != filed.hashes["params"]
    assert other.hashes["data"] == filed.hashes["data"]
    assert other.trades.equals(filed.trades, null_equal=True)


def test_every_run_is_logged_and_counts_as_a_trial(lake, tmp_path):
    first = backtest(lake, runs=tmp_path, run_name="a")
    same = backtest(lake, runs=tmp_path, run_name="b")
    third = backtest(lake, runs=tmp_path, run_name="c", settings=BacktestSettings(positions_max=3))
    assert (first.trials, same.trials, third.trials) == (1, 1, 2)
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 3


def test_another_slice_of_the_same_history_is_a_trial_too(lake, filed, tmp_path):
    middle = (filed.first_ts + filed.last_ts) // 2
    backtest(lake, runs=tmp_path, run_name="a")
    fewer = backtest(lake, runs=tmp_path, run_name="b", symbols=filed.symbols[:8])
    shorter = backtest(lake, runs=tmp_path, run_name="c", end_ms=middle)
    apart = backtest(lake, runs=tmp_path, run_name="d", end_ms=middle - 1, profile="v1")
    assert (fewer.trials, shorter.trials, apart.trials) == (2, 3, 4)


def test_trials_behind_a_profile_deflate_where_it_was_made(lake, filed, tmp_path):
    seen = Known(filed.first_ts, filed.first_ts + 86_400_000, 500)
    profile = replace(filed.profile, known=seen)
    # made-up markets were never seen
    assert backtest(lake, profile=profile).trials == 1
    real = Lake(tmp_path / "lake")
    for symbol in filed.symbols:
        frame = lake.read("synthetic", "15m", symbol).frame()
        real.write_bars("other", "15m", symbol, frame)
    inside = backtest(real, profile=profile)
    assert (inside.trials, inside.known) == (501, seen)
    assert inside.document()["known"] == {"start_ms": seen[0], "end_ms": seen[1], "trials": 500}
    free = replace(profile, known=None)
    outside = backtest(real, profile=free)
    assert (outside.trials, outside.known) == (1, None)
    deflated = inside.metrics["deflated_sharpe"].value
    assert deflated < outside.metrics["deflated_sharpe"].value
    later = seen._replace(start_ms=filed.last_ts, end_ms=filed.last_ts + 1)
    assert backtest(real, profile=replace(profile, known=later)).trials == 1


def test_random_entries_match_their_trades(filed):
    assert filed.null.r.shape == (200, len(filed.trades))
    assert np.isfinite(filed.null.r).all()
    assert (filed.null.band[0] <= filed.null.band[2]).all()


def test_random_entries_find_no_edge_in_a_market_of_noise():
    # entries at random times of a driftless market, costs off, make nothing on average
    from engine.pipeline.p7_entry import EntryParams
    from engine.pipeline.p8_management import ManageParams, PlanParams, path_rules
    from engine.venue.costs import FeeParams
    from engine.venue.funding import NO_FUNDING
    from engine.venue.margin import MarginParams
    from research.account import AccountRun
    from research.history import NO_FINE, History
    from research.null import random_entries

    rng = np.random.default_rng(11)
    close = 100 + np.cumsum(rng.normal(0, 0.05, 60_000))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.normal(0, 0.02, (2, len(close))))
    ts = 900_000 * np.arange(len(close), dtype=np.int64)
    bars = Bars.from_arrays(
        ts,
        open_,
        np.maximum(open_, close) + wick[0],
        np.minimum(open_, close) - wick[1],
        close,
        close,
    )
    history = History("N", 0, 900_000, bars, NO_FUNDING, NO_FINE, 0.01, 0)
    trades = np.zeros(40, paths.TRADE)
    trades["entry"], trades["stop"], trades["risk"] = 100.0, 99.4, 50.0
    orders = np.zeros(40, paths.ORDER)
    orders["batr"] = 0.12
    rules = path_rules(
        PlanParams(EntryParams(), ManageParams()), FeeParams(0.0, 0.0), MarginParams()
    )
    run = AccountRun(trades, np.zeros(0, paths.FILL), orders, [])
    null = random_entries(run, {0: history}, rules, n_runs=200, capital=1e4, start_ms=0, rng=rng)
    assert abs(null.r.mean()) < 0.06


def test_finer_bars_are_read_and_leave_the_rest_alone(lake, filed):
    fine = backtest(lake, intrabar="finer")
    assert fine.counts["ambiguous_bars"] >= fine.counts["resolved_bars"]
    assert len(fine.trades) == len(filed.trades)
    assert all(h.fine.interval_ms == 300_000 for h in fine.histories.values())


def copy_of(lake, tmp_path):
    from data.catalog import Lake

    shutil.copytree(lake.path, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def test_bad_coins_are_skipped_and_told(lake, tmp_path):
    broken = copy_of(lake, tmp_path)
    names = broken.symbols("synthetic", "15m")
    short = broken.read("synthetic", "15m", names[1]).slice(0, 3)
    broken.write_bars("synthetic", "15m", names[1], short)
    path = broken.files("synthetic", "15m", names[2])[0]
    path.write_bytes(path.read_bytes()[:100])
    bad = broken.read("synthetic", "15m", names[3])
    columns = [np.array(getattr(bad, c)) for c in ("ts", "open", "high", "low", "close", "volume")]
    columns[2][500], columns[4][900] = np.nan, -1.0
    broken.write_bars("synthetic", "15m", names[3], Bars.from_arrays(*columns))
    result = backtest(broken)
    assert {s.symbol for s in result.skips} == {names[1], names[2]}
    assert any("3 bars" in s.reason for s in result.skips)
    assert result.counts["unsound_bars"] == 2
    assert len(result.trades)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"symbols": "NOPEUSDT"}, DataError, "NOPEUSDT"),
        ({"symbols": "top:none"}, UsageError, "top:none"),
        ({"symbols": []}, DataError, "no symbols"),
        ({"interval": "7m"}, DataError, "7m"),
        ({"venue": "mars"}, DataError, "mars"),
        ({"profile": "nobody"}, DataError, "nobody"),
        ({"capital": 0}, UsageError, "capital"),
        ({"intrabar": "guess"}, DataError, "guess"),
        ({"start_ms": 5, "end_ms": 5}, UsageError, "--end"),
        ({"end_ms": 5}, DataError, "nothing to test"),
    ],
)
def test_bad_input_is_one_clear_error(lake, options, error, words):
    with pytest.raises(error, match=words):
        backtest(lake, **options)


def test_unwritable_output_is_told_before_the_work(lake, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot write"):
        backtest(lake, runs=tmp_path / "file", run_name="x")


def test_no_signals_is_a_result_too(lake, filed):
    nothing = backtest(lake, symbols=filed.symbols[:1], start_ms=filed.last_ts - 900_000)
    assert len(nothing.trades) == 0
    assert nothing.metrics["net_usdt"].value == 0.0
    assert np.isnan(nothing.metrics["expectancy_r"].value)
    assert nothing.document()["metrics"]["expectancy_r"]["value"] is None


def test_top_ranks_by_turnover(lake, filed):
    result = backtest(lake, symbols="top:2")
    turnover = {s: np.nansum(lake.read("synthetic", "15m", s).turnover) for s in filed.symbols}
    assert set(result.symbols) == set(sorted(turnover, key=turnover.get)[-2:])
