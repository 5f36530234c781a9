"""The path kernel: byte-equal to its naive twin, and the cases a trader would check by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernels import paths
from tests.naive import paths as naive

MS = 900_000
NONE_I, NONE_F = np.empty(0, np.int64), np.empty(0, np.float64)
NO_FUNDING = (NONE_I, NONE_F)
NO_FINE = (NONE_I, NONE_F, NONE_F)
RULES = paths.PathRules(
    valid_bars=24, tp1_r=1.0, tp1_share=0.5, trail_batr=3.0, time_stop_bars=480, exit_on_failed=0,
    intrabar=paths.PESSIMISTIC, taker_fee=0.0, maker_fee=0.0, leverage=5.0, maintenance_rate=0.01,
)  # fmt: skip


def make_order(**values):
    order = np.zeros(1, paths.ORDER)
    base = {"mode": paths.NEXT_OPEN, "chase": 1e9, "stop": 90.0, "batr": 2.0, "qty": 1.0}
    for name, value in {**base, **values}.items():
        order[name] = value
    return order


def run(bars, orders, rules, funding=NO_FUNDING, fine=NO_FINE, fine_ms=0, room=None):
    trades = np.zeros(len(orders), paths.TRADE)
    fills = np.zeros(len(orders) * (len(funding[0]) + 3) if room is None else room, paths.FILL)
    n = paths.walk_trades(*bars, orders, *funding, *fine, fine_ms, MS, rules, trades, fills)
    return trades, fills[:n]


def candles(*rows, gap_after=None):
    o, h, lo, c = (np.array(x, dtype=float) for x in zip(*rows, strict=True))
    ts = np.arange(len(rows), dtype=np.int64) * MS
    if gap_after is not None:
        ts[gap_after + 1 :] += MS
    return ts, o, h, lo, c


FLAT = (100.0, 101.0, 99.0, 100.0)


def kinds(fills):
    return fills["kind"].tolist()


def test_stop_fills_at_the_stop_or_at_the_open_beyond_it():
    trades, fills = run(candles(FLAT, FLAT, (100, 100, 89, 95)), make_order(), RULES)
    assert kinds(fills) == [paths.ENTRY, paths.STOP]
    assert trades["exit"][0] == 90.0
    assert trades["r"][0] == -1.0
    trades, _ = run(candles(FLAT, FLAT, (85, 86, 84, 85)), make_order(), RULES)
    assert trades["exit"][0] == 85.0
    assert trades["r"][0] == -1.5


def test_target_books_half_and_moves_the_stop_from_the_next_bar_on():
    bars = candles(FLAT, FLAT, (100, 111, 99, 110), (110, 110, 99.5, 100), FLAT)
    trades, fills = run(bars, make_order(), RULES)
    assert kinds(fills) == [paths.ENTRY, paths.TP1, paths.TRAIL]
    # the bar of TP1 itself fell under the new stop (105) and did not trigger it; the next did
    assert fills["price"].tolist() == [100.0, 110.0, 105.0]
    assert fills["ts"].tolist() == [MS, 3 * MS - 1, 4 * MS - 1]
    assert trades["r"][0] == 0.75


def test_breakeven_covers_its_own_costs():
    rules = RULES._replace(taker_fee=0.001, maker_fee=0.001, trail_batr=50.0)
    bars = candles(FLAT, FLAT, (100, 111, 99, 110), (110, 110, 95, 100))
    trades, fills = run(bars, make_order(), rules)
    assert kinds(fills)[-1] == paths.BREAKEVEN
    last = fills[-1]
    assert (last["price"] - 100.0) * 0.5 - last["fee"] - 0.05 == pytest.approx(0.0, abs=2e-4)
    assert trades["net"][0] > 0


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(paths.PESSIMISTIC, [paths.ENTRY, paths.STOP]),
     (paths.OPTIMISTIC, [paths.ENTRY, paths.TP1, paths.STOP])],
)  # fmt: skip
def test_stop_and_target_in_one_bar_is_counted(policy, expected):
    bars = candles(FLAT, FLAT, (100, 111, 89, 100))
    trades, fills = run(bars, make_order(), RULES._replace(intrabar=policy))
    assert kinds(fills) == expected
    assert trades["ambiguous"][0] == 1
    assert trades["resolved"][0] == 0


@pytest.mark.parametrize("up_first", [True, False])
def test_finer_bars_decide_an_ambiguous_bar(up_first):
    bars = candles(FLAT, FLAT, (100, 111, 89, 100))
    fine_ts = 2 * MS + np.arange(3, dtype=np.int64) * 300_000
    high = np.array([111.0, 100.0, 100.0]) if up_first else np.array([100.0, 100.0, 111.0])
    low = np.array([99.0, 89.0, 99.0])
    fine = (fine_ts, high, low)
    rules = RULES._replace(intrabar=paths.FINER)
    trades, fills = run(bars, make_order(), rules, fine=fine, fine_ms=300_000)
    assert (paths.TP1 in kinds(fills)) == up_first
    assert trades["resolved"][0] == 1
    hole = (np.delete(fine_ts, 1), np.delete(high, 1), np.delete(low, 1))
    trades, fills = run(bars, make_order(), rules, fine=hole, fine_ms=300_000)
    assert kinds(fills) == [paths.ENTRY, paths.STOP]
    assert trades["resolved"][0] == 0


def test_retest_waits_fills_at_its_limit_and_expires():
    order = make_order(mode=paths.RETEST, limit=97.0)
    trades, fills = run(candles(FLAT, FLAT, (100, 101, 96.5, 98), FLAT), order, RULES)
    assert fills["price"][0] == 97.0
    assert fills["ts"][0] == 3 * MS - 1
    assert fills["liquidity"][0] == paths.MAKER
    trades, fills = run(candles(*[FLAT] * 40), order, RULES)
    assert trades["status"][0] == paths.EXPIRED
    assert trades["exit_bar"][0] == 24
    assert len(fills) == 0


def test_retest_bar_does_not_book_a_high_from_before_the_entry():
    # the bar opens above, may have seen its high first, then touched the limit
    order = make_order(mode=paths.RETEST, limit=97.0)
    bars = candles(FLAT, FLAT, (103, 105, 96, 100), (100, 100.2, 99, 100))
    trades, fills = run(bars, order, RULES._replace(tp1_r=0.5))
    assert paths.TP1 not in kinds(fills)
    assert trades["ambiguous"][0] == 1
    # a close at the target proves that it came after the entry
    bars = candles(FLAT, FLAT, (103, 105, 96, 101), FLAT)
    trades, fills = run(bars, order, RULES._replace(tp1_r=0.5))
    assert paths.TP1 in kinds(fills)
    assert trades["ambiguous"][0] == 0


@pytest.mark.parametrize(
    ("open_", "values", "status"),
    [
        (103.0, {"chase": 102.0}, paths.CHASED),
        (89.0, {}, paths.BELOW_STOP),
        (100.0, {"r_min": 11.0}, paths.R_TOO_SMALL),
    ],
)
def test_skips(open_, values, status):
    row = (open_, max(open_, 101.0), min(open_, 88.0), 100.0)
    trades, fills = run(candles(FLAT, row, FLAT), make_order(**values), RULES)
    assert trades["status"][0] == status
    assert len(fills) == 0


def test_time_stop_leaves_at_the_open_after_its_bar():
    trades, fills = run(candles(*[FLAT] * 10), make_order(), RULES._replace(time_stop_bars=3))
    assert kinds(fills) == [paths.ENTRY, paths.TIME]
    assert trades["bars_held"][0] == 3
    assert fills["ts"][1] == 4 * MS


def test_failed_event_leaves_at_the_next_open_when_asked():
    order = make_order(failed_t=3 * MS)
    _, fills = run(candles(*[FLAT] * 10), order, RULES._replace(exit_on_failed=1))
    assert kinds(fills) == [paths.ENTRY, paths.FAILED]
    assert fills["ts"][1] == 3 * MS
    _, fills = run(candles(*[FLAT] * 10), order, RULES)
    assert kinds(fills) == [paths.ENTRY, paths.END]


def test_a_hole_in_the_data_ends_the_trade_at_the_last_known_price():
    trades, fills = run(candles(*[FLAT] * 6, gap_after=3), make_order(), RULES)
    assert kinds(fills) == [paths.ENTRY, paths.GAP]
    assert trades["exit_bar"][0] == 3


def test_funding_is_charged_at_its_instants_on_what_is_open():
    funding = (np.array([MS, 3 * MS, 4 * MS], np.int64), np.array([0.5, 0.001, -0.002]))
    bars = candles(FLAT, FLAT, (100, 111, 99, 110), (110, 112, 109, 110), (110, 112, 109, 110))
    trades, fills = run(bars, make_order(), RULES, funding)
    paid = fills[fills["kind"] == paths.FUNDING]
    # the one at the entry's own instant is not ours; then half is open, at 110
    assert paid["ts"].tolist() == [3 * MS, 4 * MS]
    assert paid["fee"].tolist() == [0.5 * 110 * 0.001, 0.5 * 110 * -0.002]
    assert trades["funding"][0] == pytest.approx(0.055 - 0.11)


def test_liquidation_before_a_stop_that_lies_too_deep():
    order = make_order(stop=50.0)
    trades, fills = run(candles(FLAT, FLAT, (100, 100, 60, 90)), order, RULES)
    assert kinds(fills) == [paths.ENTRY, paths.LIQUIDATION]
    assert trades["liquidation"][0] == pytest.approx(80.0 / 0.99)
    assert fills["price"][1] == 80.0


def test_costs_add_up_to_net():
    rules = RULES._replace(taker_fee=0.00055, maker_fee=0.0002)
    order = make_order(sweep_in=0.001, sweep_out=0.002, qty=3.0)
    bars = candles(FLAT, FLAT, (100, 112, 99, 110), (110, 110, 99, 100))
    trades, fills = run(bars, order, rules)
    cash = (-fills["side"] * fills["qty"] * fills["price"] - fills["fee"]).sum()
    assert trades["net"][0] == pytest.approx(cash)
    assert trades["slippage"][0] == pytest.approx(fills["slippage"].sum())
    assert trades["fees"][0] == pytest.approx(fills["fee"].sum())


def test_without_room_fills_are_counted_and_not_written():
    bars = candles(FLAT, FLAT, (100, 100, 89, 95))
    trades = np.zeros(1, paths.TRADE)
    args = (*bars, make_order(), *NO_FUNDING, *NO_FINE, 0, MS, RULES, trades)
    assert paths.walk_trades(*args, np.zeros(0, paths.FILL)) == 2
    assert trades["exit_kind"][0] == paths.STOP


@st.composite
def cases(draw):
    n = draw(st.integers(3, 40))
    steps = st.sampled_from([-6.0, -2.0, -0.5, 0.0, 0.25, 1.0, 2.5, 7.0])
    price, rows = 100.0, []
    for _ in range(n):
        o = price + draw(st.sampled_from([0.0, 0.0, 0.0, -4.0, 3.0, -25.0]))
        c = max(o + draw(steps), 1.0)
        o = max(o, 1.0)
        h = max(o, c) + draw(st.sampled_from([0.0, 0.3, 4.0, 11.0]))
        lo = max(min(o, c) - draw(st.sampled_from([0.0, 0.3, 4.0, 11.0])), 0.5)
        rows.append((o, h, lo, c))
        price = c
    gap = draw(st.one_of(st.none(), st.integers(0, n - 1)))
    bars = candles(*rows, gap_after=gap)
    orders = np.concatenate(
        [
            make_order(
                bar=draw(st.integers(0, n - 1)), trade_id=i, symbol_id=7,
                mode=draw(st.sampled_from([0, 1])),
                limit=draw(st.sampled_from([96.0, 99.0, 104.0])),
                chase=draw(st.sampled_from([101.0, 108.0])),
                stop=draw(st.sampled_from([40.0, 85.0, 90.0, 94.5])),
                batr=draw(st.sampled_from([0.4, 2.0])), qty=draw(st.sampled_from([0.3, 1.7])),
                r_min=draw(st.sampled_from([0.0, 3.0])),
                sweep_in=draw(st.sampled_from([0.0, 7e-4])),
                sweep_out=draw(st.sampled_from([0.0, 1.1e-3])),
                failed_t=draw(st.sampled_from([0, 0, 5 * MS, 11 * MS])),
            )
            for i in range(draw(st.integers(1, 3)))
        ]
    )  # fmt: skip
    rules = paths.PathRules(
        valid_bars=draw(st.sampled_from([1, 4, 24])), tp1_r=draw(st.sampled_from([0.3, 1.0])),
        tp1_share=draw(st.sampled_from([0.5, 1.0, 0.3])),
        trail_batr=draw(st.sampled_from([0.5, 3.0])),
        time_stop_bars=draw(st.sampled_from([2, 7, 480])), exit_on_failed=draw(st.integers(0, 1)),
        intrabar=draw(st.integers(0, 2)), taker_fee=5.5e-4,
        maker_fee=draw(st.sampled_from([2e-4, 5.5e-4])),
        leverage=draw(st.sampled_from([3.0, 12.5])), maintenance_rate=0.005,
    )  # fmt: skip
    every = draw(st.sampled_from([MS // 3, MS, 4 * MS]))
    f_ts = np.arange(0, n * MS, every, dtype=np.int64)
    rates = draw(
        st.lists(st.sampled_from([1e-4, -3e-4, 0.0]), min_size=len(f_ts), max_size=len(f_ts))
    )
    funding = (f_ts, np.array(rates)) if draw(st.booleans()) else NO_FUNDING
    fine_ms = MS // 3
    fine_rows = []
    for t, o, h, lo, c in zip(*bars, strict=True):
        order = draw(st.permutations([h, lo, c]))
        fine_rows += [
            (t + j * fine_ms, max(order[j], o if j == 0 else order[j]), min(order[j], c))
            for j in range(3)
            if draw(st.integers(0, 20))  # some are missing
        ]
    columns = list(zip(*fine_rows, strict=True)) or [(), (), ()]
    fine = tuple(
        np.array(x, dtype=d) for x, d in zip(columns, (np.int64, float, float), strict=True)
    )
    return bars, orders, rules, funding, fine, fine_ms


@pytest.mark.laws
@settings(max_examples=300, deadline=None)
@given(cases())
def test_kernel_equals_naive_twin_byte_for_byte(case):
    bars, orders, rules, funding, fine, fine_ms = case
    trades, fills = run(bars, orders, rules, funding, fine, fine_ms)
    slow_trades = np.zeros(len(orders), paths.TRADE)
    slow_fills = []
    for i, order in enumerate(orders):
        slow_trades[i], rows = naive.walk(bars, order, funding, fine, fine_ms, MS, rules)
        slow_fills += rows
    for name in paths.TRADE.names:  # by name first: a readable difference
        assert trades[name].tobytes() == slow_trades[name].tobytes(), name
    assert trades.tobytes() == slow_trades.tobytes()
    assert fills.tobytes() == np.array(slow_fills, paths.FILL).tobytes()
