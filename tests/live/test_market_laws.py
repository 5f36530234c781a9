"""Books, tickers, interest, funding and marks against slow twins, by drawn examples."""

from math import isnan

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from engine.messages import EventKind
from engine.pipeline.phase import EVENT
from engine.venue import wire
from engine.venue.wire import BookMessage, TickerMessage
from live.market.book import BROKEN, TOO_THIN_BPS, Merge, OrderBook
from live.market.funding import next_instant
from live.market.interest import Interest
from live.market.signals import Teller, Told
from live.market.tickers import NAMES, Tickers

# ---------------------------------------------------------------------------- books


def _told(levels: list[tuple[int, int]], base: int) -> list[list[str]]:
    return [[str(base + p), str(q)] for p, q in levels]


def _message(kind: str, u: int, bids: list[list[str]], asks: list[list[str]]) -> BookMessage:
    data = {"s": "AUSDT", "b": bids, "a": asks, "u": u, "seq": u}
    raw = msgspec.json.encode(
        {"topic": "orderbook.50.AUSDT", "type": kind, "ts": 7, "data": data, "cts": u}
    )
    message = wire.decode_market(raw)
    assert isinstance(message, BookMessage)
    return message


_level = st.tuples(st.integers(1, 9), st.integers(0, 3))
_sides = st.tuples(st.lists(_level, max_size=5), st.lists(_level, max_size=5))
_whole = st.tuples(st.integers(1, 9), st.integers(1, 3))
_full = st.tuples(st.lists(_whole, max_size=5), st.lists(_whole, max_size=5))
# what the venue does: a change, the same again, a lost one, a new start, a snapshot again
_act = st.tuples(st.sampled_from(["delta", "repeat", "skip", "restart", "snapshot"]), _sides, _full)


class _Twin:
    """A venue's side of one book, and what a reader may believe of it."""

    def __init__(self) -> None:
        self.book, self.u = OrderBook(), 5
        self.truth: list[dict[float, float]] = [{}, {}]
        self.believed = True  # nothing was lost since the newest snapshot

    def change(self, kind: str, sides) -> BookMessage:
        told = [_told(sides[0], 100), _told(sides[1], 200)]  # never crossed
        if kind == "snapshot":
            self.truth = [{}, {}]
        for side, levels in zip(self.truth, told, strict=True):
            for price, size in levels:
                side.pop(float(price), None)
                if float(size):
                    side[float(price)] = float(size)
        return _message(kind, self.u, *told)

    def act(self, what: str, change, full) -> None:
        apply = self.book.apply
        if what == "repeat":
            if self.u != 1:  # u = 1 always resets: a repeated one is not to be told from a restart
                old = apply(_message("delta", self.u, [["100.5", "9"]], []))
                assert old is (Merge.REPEATED if self.believed else Merge.ORPHAN)
        elif what == "skip":
            self.u += 1
            self.change("delta", change)  # lost on its way
            self.u += 1
            assert apply(self.change("delta", change)) in BROKEN
            self.believed = False
        elif what == "delta":
            self.u += 1
            merge = apply(self.change("delta", change))
            assert merge is (Merge.APPLIED if self.believed else Merge.ORPHAN)
        else:
            self.u = 1 if what == "restart" else self.u + 1
            self.believed = True
            assert apply(self.change("snapshot", full)) is Merge.APPLIED


@given(_full, st.lists(_act, max_size=25))
def test_a_book_equals_the_naive_replay_and_is_never_believed_over_a_gap(first, acts) -> None:
    twin = _Twin()
    twin.act("snapshot", first, first)
    for what, change, full in acts:
        twin.act(what, change, full)
        assert twin.book.whole is twin.believed
        if twin.believed:
            assert [twin.book.bids, twin.book.asks] == twin.truth


@given(
    st.dictionaries(st.integers(101, 140), st.integers(1, 50), min_size=1, max_size=12),
    st.floats(1.0, 20_000.0),
)
def test_a_sweep_is_the_mean_price_paid_over_the_mid(asks, notional: float) -> None:
    book = OrderBook()
    book.apply(_message("snapshot", 2, [["99", "1"]], [[str(p), str(q)] for p, q in asks.items()]))
    mid = (99 + min(asks)) / 2.0
    # the twin buys in ten thousand small pieces
    left = sorted((float(p), float(q)) for p, q in asks.items())
    paid, got, piece = 0.0, 0.0, notional / 10_000
    for _ in range(10_000):
        while left and left[0][1] * left[0][0] < piece:
            paid += left[0][1] * left[0][0]
            got += left[0][1]
            left.pop(0)
        if not left or paid >= notional:
            break
        spend = min(piece, notional - paid)
        left[0] = (left[0][0], left[0][1] - spend / left[0][0])
        paid, got = paid + spend, got + spend / left[0][0]
    holds = sum(p * q for p, q in asks.items())
    found = book.sweep_bps(notional)
    if holds < notional * 0.999:
        assert found == TOO_THIN_BPS
    elif holds > notional * 1.001:
        assert abs(found - (paid / got / mid - 1.0) * 1e4) < 2.0
        assert found >= book.sweep_bps(notional / 2.0) - 1e-6


def test_a_crossed_book_and_an_impossible_level_are_believed_by_nobody() -> None:
    for bids, merge in (([["201", "1"]], Merge.CROSSED), ([["-1", "1"]], Merge.BAD)):
        book = OrderBook()
        assert book.apply(_message("snapshot", 2, [["100", "1"]], [["200", "1"]])) is Merge.APPLIED
        assert book.apply(_message("delta", 3, bids, [])) is merge
        assert not book.whole
        assert book.apply(_message("delta", 4, [["100", "2"]], [])) is Merge.ORPHAN
        assert book.apply(_message("snapshot", 4, [["100", "2"]], [["200", "1"]])) is Merge.APPLIED
        assert book.best() == (100.0, 200.0)


# ---------------------------------------------------------------------------- tickers

_FIELDS = {
    "lastPrice": "last",
    "markPrice": "mark",
    "bid1Price": "bid",
    "ask1Price": "ask",
    "highPrice24h": "high_24h",
    "price24hPcnt": "change_24h",
    "turnover24h": "turnover_24h",
    "fundingRate": "funding_rate",
    "nextFundingTime": "next_funding_ms",
    "fundingIntervalHour": "funding_interval_h",
}
_row = st.dictionaries(
    st.sampled_from(sorted(_FIELDS)), st.sampled_from(["", "1", "0.25", "17", "80000000"])
)


def _ticker(kind: str, row: dict[str, str], cs: int) -> TickerMessage:
    raw = msgspec.json.encode(
        {
            "topic": "tickers.AUSDT",
            "type": kind,
            "data": {"symbol": "AUSDT", "volume24h": "3", **row},
            "cs": cs,
            "ts": 1000 + cs,
        }
    )
    message = wire.decode_market(raw)
    assert isinstance(message, TickerMessage)
    return message


@given(
    st.lists(
        st.tuples(st.sampled_from(["snapshot", "delta", "delta", "late", "lost"]), _row),
        max_size=25,
    )
)
@example([("snapshot", {}), ("late", {"lastPrice": "1"})])
@example([("snapshot", {}), ("lost", {}), ("delta", {"lastPrice": "1"})])
def test_a_ticker_equals_the_naive_merge_of_its_rows(acts) -> None:
    tickers, truth, cs, whole = Tickers(), {}, 10, False
    for act, row in acts:
        if act == "lost":
            tickers.lose("AUSDT")
            whole = False
            continue
        if act == "late":
            assert tickers.apply(_ticker("delta", row, 1)) is whole
            continue
        cs += 1
        kept = tickers.apply(_ticker(act, row, cs))
        assert kept is (act == "snapshot" or whole)
        if act == "snapshot":
            truth, whole = dict(row), True
        elif whole:
            truth |= row
    found = tickers.by_symbol.get("AUSDT")
    assert (found is not None and found.whole) is whole
    if found is not None and whole:
        for key, name in _FIELDS.items():
            text = truth.get(key, "")
            value = getattr(found, name)
            assert isnan(value) if text == "" else value == float(text)
    assert set(_FIELDS.values()) | {"index"} == set(NAMES)


def test_prices_that_cannot_be_are_taken_for_none() -> None:
    tickers = Tickers()
    row = {"markPrice": "0", "lastPrice": "-1", "bid1Price": "nan", "ask1Price": "1e999"}
    tickers.apply(_ticker("snapshot", row, 1))
    found = tickers.by_symbol["AUSDT"]
    assert all(isnan(x) for x in (found.mark, found.last, found.bid, found.ask))
    assert tickers.odd == 2


# ---------------------------------------------------------------------------- interest

_coins = st.frozensets(st.sampled_from(["A", "B", "C", "D"]), max_size=4)


@given(st.lists(st.tuples(st.integers(0, 5), _coins), max_size=40))
def test_interest_is_the_union_of_what_everyone_holds(acts) -> None:
    interest, truth = Interest(), {}
    for holder, symbols in acts:
        before = frozenset().union(*truth.values()) if truth else frozenset()
        truth[holder] = symbols
        after = frozenset().union(*truth.values())
        assert interest.hold(f"u{holder}", symbols) is (before != after)
        assert interest.symbols == sorted(after)
        assert all(interest.count(s) == sum(s in held for held in truth.values()) for s in "ABCD")
    for holder in truth:
        interest.release(f"u{holder}")
    assert len(interest) == 0


# ---------------------------------------------------------------------------- funding and marks


@given(st.integers(1, 10**6), st.integers(1, 480), st.integers(0, 10**8))
def test_the_next_funding_is_ahead_and_on_the_told_grid(told, minutes: int, now: int) -> None:
    at = next_instant(told, minutes, now)
    step = minutes * 60_000
    assert at > now
    assert at == told or (at - now <= step and (at - told) % step == 0)


def _event(kind: EventKind, t: int, row: int) -> np.ndarray:
    record = np.zeros(1, EVENT)
    record["kind"], record["t"], record["symbol_id"], record["tf_s"] = int(kind), t, row, 900
    return record


_moves = st.lists(
    st.tuples(
        st.sampled_from([EventKind.BREAKOUT, EventKind.BREAKOUT, EventKind.FAILED]),
        st.integers(0, 2),  # coin
        st.integers(1, 40),  # close time
        st.sampled_from(["", "", "clean stop", "killed"]),
    ),
    max_size=30,
)


@given(_moves)
def test_an_event_is_told_once_a_life_and_never_again_after_its_mark_was_kept(moves) -> None:
    def teller() -> Teller:
        return Teller("p", "15m", lambda r: f"S{r}", lambda _: None, fresh_ms=10, end_ms=20)

    now, mine, kept = 0, teller(), Told()
    told: list[tuple[str, int]] = []
    written: set[tuple[str, int]] = set()
    for kind, row, t, after in moves:
        now = max(now, t)
        for news in mine.take(_event(kind, t, row), now):
            key = (f"{type(news).__name__}{news.symbol}", news.t)
            assert key not in told, "twice in one life"
            assert key not in written, "told before, and its mark was kept"
            assert now - news.t <= (10 if kind is EventKind.BREAKOUT else 20)
            told.append(key)
        if after == "clean stop":
            kept = msgspec.json.decode(msgspec.json.encode(mine.marks()), type=Told)
            written |= set(told)
        if after:
            told, mine = [], teller()
            mine.load(kept)
    for signal in mine.fresh(now):
        assert now - signal.t <= 10
