"""Statistics against independent libraries, against known answers, and against their own laws."""

import empyrical
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.stats import bootstrap, equity, trades


def returns(seed=3, n=400, mean=0.001):
    return np.random.default_rng(seed).normal(mean, 0.02, n)


def columns(r, cluster=None, risk=50.0):
    r = np.asarray(r, float)
    zero = np.zeros(len(r))
    net = r * risk
    cluster = np.arange(len(r)) if cluster is None else cluster
    return trades.TradeColumns(
        r, net, net, zero, zero, zero, zero + risk, zero, zero, np.asarray(cluster)
    )


def by_name(metrics):
    return {m.name: m for m in metrics}


@pytest.mark.parametrize("seed", range(5))
def test_equity_figures_equal_empyrical(seed):
    x = returns(seed)
    kind = {"annualization": 365}
    assert equity.sharpe(x) == pytest.approx(empyrical.sharpe_ratio(x, **kind))
    assert equity.sortino(x) == pytest.approx(empyrical.sortino_ratio(x, **kind))
    assert equity.cagr(x) == pytest.approx(empyrical.annual_return(x, **kind))
    assert equity.max_drawdown(x) == pytest.approx(empyrical.max_drawdown(x))
    assert equity.calmar(x) == pytest.approx(empyrical.calmar_ratio(x, **kind))


def test_probabilistic_sharpe_equals_its_formula_with_scipy_moments():
    x = returns(9, 250)
    ratio = x.mean() / x.std(ddof=1)
    skew, kurt = scipy.stats.skew(x), scipy.stats.kurtosis(x, fisher=False)
    z = (ratio - 0.02) * np.sqrt(len(x) - 1) / np.sqrt(1 - skew * ratio + (kurt - 1) / 4 * ratio**2)
    assert equity.probabilistic_sharpe(x, 0.02) == pytest.approx(scipy.stats.norm.cdf(z))


def test_expected_best_sharpe_is_the_mean_maximum_of_normals():
    draws = np.random.default_rng(1).normal(0, 0.3, (20_000, 50)).max(axis=1).mean()
    assert equity.expected_best_sharpe(50, 0.09) == pytest.approx(draws, rel=0.02)
    assert equity.expected_best_sharpe(1, 0.09) == 0.0


def test_more_trials_deflate_more():
    x = returns(4)
    values = [equity.deflated_sharpe(x, n) for n in (1, 5, 100)]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(equity.probabilistic_sharpe(x, 0.0))


def test_cluster_bootstrap_has_the_error_of_independent_clusters():
    rng = np.random.default_rng(5)
    r = rng.normal(0.1, 1.0, 800)
    metric = by_name(trades.trade_metrics(columns(r), rng))["expectancy_r"]
    error = scipy.stats.sem(r)
    assert metric.value == pytest.approx(r.mean())
    assert (metric.high - metric.low) / 2 == pytest.approx(1.96 * error, rel=0.08)


def test_trades_that_move_together_widen_the_interval():
    rng = np.random.default_rng(6)
    weeks = np.repeat(np.arange(40), 20)
    r = rng.normal(0, 1, 40)[weeks] + rng.normal(0, 0.1, 800)
    apart = by_name(trades.trade_metrics(columns(r), rng))["expectancy_r"]
    together = by_name(trades.trade_metrics(columns(r, weeks), rng))["expectancy_r"]
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_coverage_of_the_week_interval_is_near_95_percent():
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(200):
        weeks = np.repeat(np.arange(40), 5)
        r = 0.2 + rng.normal(0, 1, 40)[weeks] + rng.normal(0, 1, 200)
        _, low, high = trades.mean_interval(r, weeks, rng, n_draws=400)
        hits += low <= 0.2 <= high
    assert 0.89 <= hits / 200 <= 0.99


def test_stationary_bootstrap_blocks_have_the_mean_length_asked_for():
    index = bootstrap.stationary_indices(500, 200, 10.0, np.random.default_rng(8))
    joined = (np.diff(index, axis=1) % 500) == 1
    assert index.min() >= 0
    assert index.max() < 500
    assert joined.mean() == pytest.approx(0.9, abs=0.01)


def test_trade_figures_by_hand():
    m = by_name(trades.trade_metrics(columns([2.0, -1.0, 0.5, -1.0]), np.random.default_rng(0)))
    assert m["expectancy_r"].value == 0.125
    assert m["win_rate"].value == 0.5
    assert m["profit_factor"].value == 1.25
    assert m["payoff"].value == 1.25
    assert m["net_usdt"].value == 25.0
    r = np.array([2.0, -1.0, 0.5, -1.0])
    assert m["sqn"].value == pytest.approx(2 * r.mean() / r.std(ddof=1))


def test_nothing_is_invented_without_trades_losses_or_weeks():
    rng = np.random.default_rng(0)
    empty = by_name(trades.trade_metrics(columns([]), rng))
    assert np.isnan(empty["expectancy_r"].value)
    assert empty["net_usdt"].value == 0.0
    wins = by_name(trades.trade_metrics(columns([1.0, 2.0]), rng))
    assert np.isnan(wins["profit_factor"].value)
    assert np.isnan(wins["expectancy_r"].low)  # two weeks say nothing about spread
    short = by_name(equity.equity_metrics(np.array([1.0, 1.1, 1.0]), rng))
    assert np.isnan(short["sharpe"].value)
    assert short["max_drawdown"].value == pytest.approx(1 / 1.1 - 1)


def test_drawdowns_by_hand():
    curve = np.array([100, 110, 99, 105, 111, 100, 90, 95.0])
    worst = equity.worst_drawdowns(curve)
    assert [(d.start, d.trough, d.end) for d in worst] == [(4, 6, -1), (1, 2, 4)]
    assert worst[0].depth == pytest.approx(90 / 111 - 1)
    assert equity.longest_underwater(curve) == 3


def test_streaks_by_hand():
    s = trades.streaks(np.array([1, -1, -1, -1, 2, 3, -1.0]))
    assert (s.wins_max, s.losses_max) == (2, 3)
    assert trades.streaks(np.array([])) == (0, 0, 0.0)


def test_seed_decides_the_interval_and_nothing_else():
    r = returns(2, 100)
    a, b, c = (
        by_name(trades.trade_metrics(columns(r), np.random.default_rng(s)))["expectancy_r"]
        for s in (1, 1, 2)
    )
    assert a == b
    assert a.value == c.value
    assert a.low != c.low


def test_weeks_start_on_monday():
    monday = 1_704_067_200_000  # 2024-01-01, a Monday
    week = bootstrap.week_of(np.array([monday - 1, monday, monday + bootstrap.WEEK_MS - 1]))
    assert week[1] - week[0] == 1
    assert week[2] == week[1]


@pytest.mark.laws
@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-0.3, 0.4), min_size=2, max_size=60), st.floats(0.5, 4000))
def test_drawdown_is_blind_to_scale_and_never_positive(steps, scale):
    curve = np.cumprod(1 + np.array(steps))
    assert equity.drawdowns(curve).max() <= 0.0
    a, b = equity.worst_drawdowns(curve), equity.worst_drawdowns(curve * scale)
    assert [d.depth for d in a] == pytest.approx([d.depth for d in b], abs=1e-12)
