"""View models: pure functions, checked against what the events and rows say."""

from types import SimpleNamespace

import msgspec
import pytest

from app.api import board, checks, drawn
from app.api.views import Move
from app.dashboard import words
from data.profiles import load_profile
from engine.messages import EventKind, Gate
from tests.app.feed import Feed

PARAMS = load_profile("default", "15m").params
STEP = 900_000
HOUR = 3_600_000


def move(t: int, kind: str, before: int, after: int, **facts: object) -> Move:
    return Move(
        seq=t, t=t, symbol="AUSDT", kind=kind, before=before, after=after, tick="0.01",
        reject=(), replayed=False, facts=facts,
    )  # fmt: skip


def market_of(feed: Feed):
    now = feed.board()
    return board.market(now, feed.events(now.as_of - board.DAY_MS), PARAMS)


# ---------------------------------------------------------------- board


def test_every_coin_stands_in_exactly_one_phase(feed: Feed) -> None:
    market = market_of(feed)
    placed = [s for n in range(2, 7) for s in market.order[n]]
    assert len(placed) == len(set(placed))
    assert len(placed) + market.funnel[0].now == len(feed.symbols) == market.eligible
    assert sum(step.now for step in market.funnel) == market.eligible


def test_columns_are_the_heads_of_the_order(feed: Feed) -> None:
    market = market_of(feed)
    for n in range(2, 7):
        assert [c.symbol for c in market.columns[n]] == list(
            market.order[n][: board.CARDS_PER_PHASE]
        )


def test_armed_coins_stand_by_their_distance(feed: Feed) -> None:
    market = market_of(feed)
    distances = [abs(c.distance_atr) for c in market.columns[5] if c.distance_atr is not None]
    assert len(distances) >= 2, "the feed should have armed coins: choose another moment"
    assert distances == sorted(distances)


def test_exclusions_are_counted_by_reason(feed: Feed) -> None:
    assert market_of(feed).excluded == (("too thin", 2), ("too young", 1))


def test_arrivals_count_changes_after_the_moment_only() -> None:
    moves = [
        move(1 * HOUR, "DUMP", 1, 2),
        move(2 * HOUR, "STAB", 3, 4),
        move(3 * HOUR, "ARMED", 4, 5),
        move(4 * HOUR, "REJECTED", 5, 5),
        move(5 * HOUR, "INVAL", 5, 2),
    ]
    assert board.arrivals(moves, HOUR, {3: 2}) == {2: 1, 3: 3, 4: 1, 5: 1, 6: 0}
    assert board.arrivals(moves, 0, {}) == {2: 2, 3: 1, 4: 1, 5: 1, 6: 0}


def test_a_share_over_one_is_not_shown() -> None:
    steps = board.funnel({1: 8, 2: 2}, {2: 4, 3: 6, 4: 3, 5: 0, 6: 0})
    assert [s.share for s in steps] == [1.0, 0.4, None, 0.5, 0.0, None]


def test_an_empty_universe_has_a_board() -> None:
    empty = SimpleNamespace(
        as_of=0, interval="15m", interval_ms=STEP, profile="default", minute=0,
        rows=(), excluded={}, market=None,
    )  # fmt: skip
    market = board.market(empty, [], PARAMS)
    assert market.eligible == 0
    assert "No coin is watched" in words.board_sentence(market)
    msgspec.json.encode(market)


def test_moves_are_the_newest_first_and_only_changes_of_phase(feed: Feed) -> None:
    market = market_of(feed)
    stamps = [m.t for m in market.moves]
    assert stamps == sorted(stamps, reverse=True)
    assert 0 < len(stamps) <= board.MOVES
    assert all(m.before != m.after for m in market.moves)


# ---------------------------------------------------------------- ribbon


def test_the_ribbon_covers_the_stretch_without_holes(feed: Feed) -> None:
    for symbol in feed.symbols:
        coin = drawn.coin(feed.coin(symbol), PARAMS, as_of=feed.now_ms(), interval_ms=STEP)
        assert coin.ribbon[0].start == coin.bars[0][0]
        assert coin.ribbon[-1].end == coin.bars[-1][0] + STEP
        just_now = coin.card.since == coin.ribbon[-1].end  # begins with the bar to come
        assert just_now or coin.ribbon[-1].phase == coin.card.phase
        for a, b in zip(coin.ribbon, coin.ribbon[1:], strict=False):
            assert a.end == b.start
            assert a.start < a.end


def test_stabilising_begins_calm_bars_after_the_low() -> None:
    moves = [
        move(10 * STEP, "DUMP", 1, 2),
        move(60 * STEP, "STAB", 3, 4, trough_t=20 * STEP),
    ]
    made = drawn.ribbon(moves, 0, 100 * STEP, 4, calm_ms=12 * STEP, trough_t=None)
    assert [(s.phase, s.start // STEP, s.end // STEP) for s in made] == [
        (1, 0, 10),
        (2, 10, 32),
        (3, 32, 60),
        (4, 60, 100),
    ]


def test_a_coin_that_stabilises_now_shows_it_before_any_event() -> None:
    moves = [move(10 * STEP, "DUMP", 1, 2)]
    made = drawn.ribbon(moves, 0, 50 * STEP, 3, calm_ms=12 * STEP, trough_t=20 * STEP)
    assert [(s.phase, s.start // STEP) for s in made] == [(1, 0), (2, 10), (3, 32)]


def test_a_ribbon_of_a_coin_without_events_is_one_stretch() -> None:
    made = drawn.ribbon([], 0, 50 * STEP, 1, calm_ms=STEP, trough_t=None)
    assert [(s.start, s.end, s.phase) for s in made] == [(0, 50 * STEP, 1)]


# ---------------------------------------------------------------- zones, lines


def _row(**more: object) -> SimpleNamespace:
    return SimpleNamespace(**{"phase": 5, "batr": 1.0, "floor": 90.0, "level": 100.0, **more})


def test_each_armed_level_is_drawn_until_the_event_that_ended_it() -> None:
    armed = {
        "anchor_t": 5 * STEP,
        "batr": 1.0,
        "floor": 90.0,
        "zone_lo": 99.0,
        "invalidation": 88.5,
    }
    moves = [
        move(20 * STEP, "ARMED", 4, 5, level=100.0, level_score=0.8, touches_r=3, **armed),
        move(25 * STEP, "REJECTED", 5, 5, level=100.0),
        move(30 * STEP, "LEVEL", 5, 5, level=101.0, level_score=0.9, touches_r=4, **armed),
        move(40 * STEP, "BREAKOUT", 5, 6, level=101.0, **armed),
    ]
    zone = SimpleNamespace(anchor_t=5 * STEP, trough_t=2 * STEP)
    zones, lines = drawn.drawings(moves, zone, _row(phase=6), first_ms=0, end_ms=50 * STEP)
    levels = [(x.price, x.start // STEP, x.end // STEP) for x in lines if x.kind == "level"]
    assert levels == [(100.0, 20, 30), (101.0, 30, 40)]
    # one band of the same base, the newest: not one a level
    assert [(z.kind, z.lo, z.hi, z.start // STEP, z.end // STEP) for z in zones] == [
        ("resistance", 99.0, 101.0, 5, 40),
        ("support", 89.75, 90.25, 5, 40),
    ]
    assert [x.price for x in lines if x.kind == "invalidation"] == [88.5]


def test_what_lies_before_the_stretch_is_not_drawn() -> None:
    moves = [
        move(20 * STEP, "ARMED", 4, 5, level=100.0, batr=1.0, anchor_t=5 * STEP),
        move(30 * STEP, "INVAL", 5, 2),
    ]
    zone = SimpleNamespace(anchor_t=None, trough_t=None)
    assert drawn.drawings(moves, zone, _row(phase=2), first_ms=30 * STEP, end_ms=60 * STEP) == (
        (),
        (),
    )


def test_candles_with_the_same_time_are_one() -> None:
    assert drawn.ascending([(2, 1.0), (1, 1.0), (2, 5.0)]) == ((1, 1.0), (2, 5.0))


# ---------------------------------------------------------------- checks, levels


@pytest.mark.parametrize("gate", list(Gate))
def test_a_refused_breakout_names_the_failing_check(gate: Gate) -> None:
    facts = {"chase_atr": 0.4, "body": 0.6, "clv": 0.7, "relvol": 1.6}
    made = checks.breakout_checks(facts, (gate.name,), PARAMS)
    failed = [c.name for c in made if not c.passed]
    assert failed == [
        {Gate.BODY: "body", Gate.CLOSE_LOCATION: "clv", Gate.VOLUME: "volume", Gate.CHASE: "chase"}[
            gate
        ]
    ]


def test_events_and_limits_agree_on_what_passed(feed: Feed) -> None:
    """The shown value against the shown limit gives the tick or cross that is shown."""
    judged = [e for e in feed.log if e.kind in {"BREAKOUT", "REJECTED"}]
    assert judged, "the feed should have breakouts: choose another moment"
    for event in judged:
        for c in checks.breakout_checks(event.fields, event.reject, PARAMS):
            assert c.value is not None
            assert (c.value >= c.limit if c.at_least else c.value <= c.limit) == c.passed, c


def test_a_coin_that_waits_shows_limits_and_no_verdict() -> None:
    made = checks.waiting_checks(0.9, PARAMS)
    assert [c.passed for c in made] == [None] * 5
    assert made[0].value == -0.9


def test_score_parts_add_up_to_the_score(feed: Feed) -> None:
    armed = [e for e in feed.log if e.kind == "ARMED"]
    assert armed
    for event in armed:
        s = checks.score(event.fields, PARAMS)
        parts = s.touch + s.edge + s.polarity + s.round + s.over
        assert parts == pytest.approx(s.total, abs=1e-9)


def test_the_chosen_variant_is_the_level(feed: Feed) -> None:
    armed = next(e for e in feed.log if e.kind == "ARMED")
    made = checks.variants(armed.fields)
    chosen = [v for v in made if v.chosen]
    assert [v.price for v in chosen] == [armed.fields["level"]]
    assert chosen[0].distance_atr == 0
    assert all(0 <= v.place <= 1 for v in made)


def test_no_level_means_no_variants_and_no_score() -> None:
    assert checks.variants({"level": 0.0, "levels": [0.0] * 8}) == ()
    assert checks.score({"level": 0.0, "level_score": 0.0}, PARAMS) is None


# ---------------------------------------------------------------- words


def test_every_kind_of_event_has_a_title_and_a_reason(feed: Feed) -> None:
    for kind in EventKind:
        empty = move(1, kind.name, 4, 5)
        assert words.title(empty)
        assert words.why(empty), kind
    for event in feed.log:
        told = words.why(board.move(event, feed.ticks[event.symbol]))
        assert told
        assert "None" not in told
        assert "nan" not in told.split()


def test_every_check_and_every_level_has_words(feed: Feed) -> None:
    for c in (
        *checks.waiting_checks(1.0, PARAMS),
        *checks.base_checks(feed.board().rows[0], PARAMS),
    ):
        assert words.CHECKS[c.name]
        assert words.check_value(c)
        assert words.check_limit(c)
    assert set(words.GATES) == set(words.reject_names())


def test_every_coin_has_a_sentence(feed: Feed) -> None:
    for symbol in feed.symbols:
        coin = drawn.coin(feed.coin(symbol), PARAMS, as_of=feed.now_ms(), interval_ms=STEP)
        assert words.coin_sentence(coin).endswith(".")
        assert words.card_fact(coin.card)
        msgspec.json.encode(coin)
