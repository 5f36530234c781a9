"""Orders: taken, refused or unknown, and what ends an unknown."""

from decimal import Decimal

import pytest

from engine.venue.codes import CODES, Action, Proof
from engine.venue.reports import UNREADABLE
from live.venues.bybit.lookup import ABSENT_AGE_MS
from live.venues.bybit.transport import NoReply, Reply
from live.venues.port import Banned, Failed, Ok, Throttled
from live.venues.settle import NotPlaced, Placed, amend_surely, cancel_surely, place_surely
from live.venues.trading import (
    Absent,
    Accepted,
    Found,
    NewOrder,
    OrderChange,
    Priority,
    Refused,
    TradingStop,
    Undecided,
    Unknown,
)
from tests.live.client.fakes import START_MS, Running, World, envelope, order_row, page

D = Decimal
CREATE, AMEND, CANCEL = "/v5/order/create", "/v5/order/amend", "/v5/order/cancel"
REALTIME, HISTORY = "/v5/order/realtime", "/v5/order/history"
STOP, POSITIONS = "/v5/position/trading-stop", "/v5/position/list"
EXECUTIONS = "/v5/execution/list"


def buy(link: str = "a1", **more: object) -> NewOrder:
    values: dict = {
        "order_link_id": link,
        "symbol": "BTCUSDT",
        "side": "Buy",
        "order_type": "Limit",
        "qty": D("0.010"),
        "price": D("1E+2"),
        "stop_loss": D("90"),
        "tpsl_mode": "Full",
    } | more
    return NewOrder(**values)


async def place(world: World, **more: object):
    return await world.venue.place(buy(**more), priority=Priority.ENTRY)


async def test_an_accepted_order_was_sent_once_as_plain_text():
    world = World()
    world.transport.script(CREATE, envelope({"orderId": "7", "orderLinkId": "a1"}))
    assert await place(world) == Accepted("7", "a1")
    (params,) = world.transport.calls(CREATE)
    assert params["price"] == "100"
    assert params["qty"] == "0.010"
    assert params["stopLoss"] == "90"
    assert len(world.transport.sent) == 1


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_code_of_the_table_on_a_create(code):
    world = World()
    world.transport.script(CREATE, envelope(code=code, message="words"))
    world.transport.script(REALTIME, page())
    world.transport.script(HISTORY, page())
    async with Running(world.clock):
        result = await place(world)
    known = CODES[code]
    sent = len(world.transport.calls(CREATE))
    if known.action is Action.ADOPT:
        assert isinstance(result, Unknown)  # taken, but not to be found yet
    elif known.action is Action.ORDER_ENDED:
        assert isinstance(result, Unknown)  # no answer to a wish to place one
    elif known.proof is Proof.NOT_TAKEN:
        assert isinstance(result, Refused)
        assert result.code == code
        assert (result.retry_after_s is not None) == (known.same_id or code == 10018)
    elif known.proof is Proof.UNKNOWN:
        assert isinstance(result, Unknown)
        assert result.order_link_id == "a1"
    else:
        assert isinstance(result, Accepted)
    assert sent == {10002: 2, 10006: 3}.get(code, 1)  # nothing else is ever sent again


@pytest.mark.parametrize("what", ["amend", "cancel", "cancel-all", "trading-stop", "leverage"])
@pytest.mark.parametrize("code", [*sorted(CODES), 424242])
async def test_every_code_on_every_other_act_is_sent_once_and_typed(what, code):
    world = World()
    empty = page()
    for path in (REALTIME, HISTORY, POSITIONS):
        world.transport.script(path, empty)
    for path in (AMEND, CANCEL, "/v5/order/cancel-all", STOP, "/v5/position/set-leverage"):
        world.transport.script(path, envelope(code=code, message="words"))
    venue = world.venue
    async with Running(world.clock):
        if what == "amend":
            change = OrderChange(symbol="BTCUSDT", order_link_id="a1", price=D(1))
            result = await venue.amend(change, priority=Priority.PROTECT)
        elif what == "cancel":
            result = await venue.cancel("BTCUSDT", order_link_id="a1", priority=Priority.PROTECT)
        elif what == "cancel-all":
            result = await venue.cancel_entries("BTCUSDT", priority=Priority.PROTECT)
        elif what == "trading-stop":
            stop = TradingStop(symbol="BTCUSDT", stop_loss=D(9))
            result = await venue.set_trading_stop(stop, priority=Priority.PROTECT)
        else:
            result = await venue.set_leverage("BTCUSDT", D(3))
    assert isinstance(result, Accepted | Refused | Unknown)
    known = CODES.get(code)
    if known is None or known.proof is Proof.UNKNOWN:
        assert isinstance(result, Unknown)
    elif known.proof is Proof.NOT_TAKEN:
        assert isinstance(result, Refused)
    posts = [path for method, path, _ in world.transport.sent if method == "POST"]
    assert len(posts) == {10002: 2, 10006: 3}.get(code, 1)


@pytest.mark.parametrize("code", [1, 99, 110999, -7, 10**12])
async def test_a_code_nobody_knows_leaves_an_order_unknown(code):
    world = World()
    world.transport.script(CREATE, envelope(code=code))
    result = await place(world)
    assert isinstance(result, Unknown)
    assert len(world.transport.sent) == 1


@pytest.mark.parametrize(
    "lost",
    [NoReply("read time-out", maybe_sent=True), Reply(502, b""), b"<html>", b'{"retCode":0'],
    ids=str,
)
async def test_a_lost_answer_is_unknown_and_never_sent_again(lost):
    world = World()
    world.transport.script(CREATE, lost)
    result = await place(world)
    assert isinstance(result, Unknown)
    assert (result.order_link_id, result.sent_ms) == ("a1", START_MS)
    assert len(world.transport.sent) == 1


async def test_what_never_left_is_refused_and_may_be_sent_again():
    world = World()
    world.transport.script(CREATE, NoReply("name does not resolve", maybe_sent=False))
    result = await place(world)
    assert isinstance(result, Refused)
    assert result.retry_after_s is not None


async def test_an_answer_about_another_order_is_not_believed():
    world = World()
    world.transport.script(CREATE, envelope({"orderId": "7", "orderLinkId": "somebody"}))
    assert isinstance(await place(world), Unknown)


async def test_a_taken_link_id_is_looked_up_and_adopted():
    world = World()
    world.transport.script(CREATE, envelope(code=110072, message="OrderLinkedID is duplicate"))
    world.transport.script(REALTIME, page(), page(order_row("a1", "Filled")))
    result = await place(world)
    assert isinstance(result, Accepted)
    assert result.already
    assert result.order_id == "id-a1"
    assert result.order is not None
    assert [c["openOnly"] for c in world.transport.calls(REALTIME)] == [0, 1]


# ---------------------------------------------------------------------------- cancel, amend


@pytest.mark.parametrize("code", [110001, 110008, 110010])
@pytest.mark.parametrize("status", ["Filled", "Cancelled"])
async def test_a_cancel_of_what_is_gone_finds_out_how_it_ended(code, status):
    world = World()
    world.transport.script(CANCEL, envelope(code=code))
    world.transport.script(REALTIME, page())
    world.transport.script(HISTORY, page(order_row("a1", status)))
    result = await world.venue.cancel("BTCUSDT", order_link_id="a1", priority=Priority.PROTECT)
    assert isinstance(result, Accepted)
    assert result.already
    assert result.order is not None
    assert result.order.order_status == status


async def test_a_cancel_refused_for_an_order_that_is_listed_may_be_tried_again():
    world = World()
    world.transport.script(CANCEL, envelope(code=110001))
    world.transport.script(REALTIME, page(order_row("a1")))
    result = await world.venue.cancel("BTCUSDT", order_link_id="a1", priority=Priority.PROTECT)
    assert isinstance(result, Refused)
    assert result.retry_after_s is not None


async def test_a_cancel_of_what_is_nowhere_is_no_proof():
    world = World()
    world.transport.script(CANCEL, envelope(code=110001))
    world.transport.script(REALTIME, page())
    world.transport.script(HISTORY, page())
    result = await world.venue.cancel("BTCUSDT", order_link_id="a1", priority=Priority.PROTECT)
    assert isinstance(result, Refused)
    assert result.action == Action.QUERY


async def test_an_amendment_that_comes_too_late_carries_the_order():
    world = World()
    world.transport.script(AMEND, envelope(code=110001))
    world.transport.script(REALTIME, page(), page(order_row("a1", "Filled")))
    change = OrderChange(symbol="BTCUSDT", order_link_id="a1", price=D(101))
    result = await world.venue.amend(change, priority=Priority.ENTRY)
    assert isinstance(result, Refused)
    assert result.order is not None
    assert result.order.order_status == "Filled"


async def test_entries_are_cancelled_without_their_stops():
    world = World()
    world.transport.script("/v5/order/cancel-all", envelope({"list": []}))
    await world.venue.cancel_entries("BTCUSDT", priority=Priority.PROTECT)
    (params,) = world.transport.calls("/v5/order/cancel-all")
    assert params["orderFilter"] == "Order"
    assert params["symbol"] == "BTCUSDT"


# ---------------------------------------------------------------------------- positions


def slot(**more: object) -> dict:
    return {
        "symbol": "BTCUSDT",
        "positionIdx": 0,
        "side": "Buy",
        "size": "1",
        "leverage": "5",
        "stopLoss": "90",
        "takeProfit": "",
    } | more


@pytest.mark.parametrize("said", [envelope(code=34040), b"<html>", Reply(502, b"")], ids=str)
@pytest.mark.parametrize(("stands", "kind"), [("90", Accepted), ("80", None), ("", None)])
async def test_a_stop_that_may_stand_is_read_back(said, stands, kind):
    world = World()
    world.transport.script(STOP, said)
    world.transport.script(POSITIONS, page(slot(stopLoss=stands)))
    stop = TradingStop(symbol="BTCUSDT", stop_loss=D("90.0"), take_profit=D(0))
    result = await world.venue.set_trading_stop(stop, priority=Priority.PROTECT)
    if kind is Accepted:
        assert result == Accepted(already=True)
    elif isinstance(said, bytes) and b"34040" in said:
        assert isinstance(result, Refused)
    else:
        assert isinstance(result, Unknown)
    assert len(world.transport.calls(STOP)) == 1


async def test_a_partial_stop_only_adds_and_is_never_taken_for_done():
    world = World()
    world.transport.script(STOP, b"")
    world.transport.script(POSITIONS, page(slot()))
    stop = TradingStop(symbol="BTCUSDT", stop_loss=D(90), tpsl_mode="Partial", sl_size=D(1))
    result = await world.venue.set_trading_stop(stop, priority=Priority.PROTECT)
    assert isinstance(result, Unknown)


async def test_leverage_that_is_so_already_is_success():
    world = World()
    path = "/v5/position/set-leverage"
    world.transport.script(path, envelope(code=110043), b"", b"")
    world.transport.script(POSITIONS, page(slot()))
    assert await world.venue.set_leverage("BTCUSDT", D(5)) == Accepted(already=True)
    assert await world.venue.set_leverage("BTCUSDT", D("5.0")) == Accepted(already=True)
    assert isinstance(await world.venue.set_leverage("BTCUSDT", D(7)), Unknown)


# ---------------------------------------------------------------------------- lookups


async def look(world: World):
    return await world.venue.look_up("BTCUSDT", "a1", sent_ms=START_MS)


async def test_absence_takes_two_looks_and_age():
    world = World()
    world.transport.script(REALTIME, page())
    world.transport.script(HISTORY, page())
    assert isinstance(await look(world), Undecided)  # within the time window still
    world.clock.advance(6.0)
    assert isinstance(await look(world), Undecided)  # too early to count
    world.clock.advance(1.0)
    assert isinstance(await look(world), Undecided)  # the first that counts
    world.clock.advance(20.0)
    assert isinstance(await look(world), Undecided)  # 27 s
    world.clock.advance(3.0)
    result = await look(world)
    assert result == Absent(START_MS + ABSENT_AGE_MS)


async def test_one_late_look_alone_proves_nothing():
    world = World()
    world.transport.script(REALTIME, page())
    world.transport.script(HISTORY, page())
    world.clock.advance(3600.0)
    assert isinstance(await look(world), Undecided)
    assert isinstance(await look(world), Undecided)  # at once: the same look
    world.clock.advance(5.0)
    assert isinstance(await look(world), Absent)


@pytest.mark.parametrize(
    "bad",
    [
        b"<html>",
        Reply(502, b""),
        envelope(code=10016),
        envelope({"list": 7}),
        page({"orderLinkId": "a1"}),  # a row that cannot be read
        page(order_row("another")),  # the answer to another question
        Reply(403, b""),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [REALTIME, HISTORY])
async def test_a_list_that_cannot_be_read_decides_nothing(bad, path):
    world = World()
    world.transport.script(REALTIME, page())
    world.transport.script(HISTORY, page())
    world.transport.script(path, bad)
    async with Running(world.clock, step_s=0.5):
        for _ in range(4):
            world.clock.advance(100.0)
            assert isinstance(await look(world), Undecided)


async def test_an_order_is_found_in_history_alone():
    world = World()
    world.transport.script(REALTIME, page())
    world.transport.script(HISTORY, page(order_row("a1", "Cancelled")))
    result = await look(world)
    assert isinstance(result, Found)
    assert result.order.order_status == "Cancelled"


async def test_a_found_order_ends_the_count_of_looks():
    world = World()
    world.transport.script(REALTIME, page(), page(), page(order_row("a1")), page())
    world.transport.script(HISTORY, page())
    world.clock.advance(100.0)
    assert isinstance(await look(world), Undecided)
    assert isinstance(await look(world), Found)
    world.clock.advance(100.0)
    assert isinstance(await look(world), Undecided)


# ---------------------------------------------------------------------------- lists


async def test_all_pages_are_read_until_they_stand_still():
    world = World()
    a, b, c, d = (order_row(n) for n in "abcd")
    world.transport.script(
        REALTIME,
        page(a, b, cursor="1%3A2%2C1"),
        page(d),  # c moved to the first page meanwhile
        page(b, c, cursor="1%3A2%2C1"),
        page(c, d),  # a has gone, and a row comes twice
        page(b, c, cursor="x"),
        page(d),
    )
    result = await world.venue.orders()
    assert isinstance(result, Ok)
    assert sorted(o.order_link_id for o in result.value) == ["b", "c", "d"]
    assert world.transport.calls(REALTIME)[1]["cursor"] == "1%3A2%2C1"
    assert any("cursor=1%3A2%2C1" in text for text in world.transport.signed)  # verbatim


async def test_a_cursor_that_repeats_is_a_failure_not_a_loop():
    world = World()
    world.transport.script(REALTIME, page(order_row("a"), cursor="x"))
    assert isinstance(await world.venue.orders(), Failed)


async def test_an_order_that_cannot_be_read_is_not_taken_for_gone():
    world = World()
    world.transport.script(REALTIME, page(order_row("a"), {"orderId": "9"}))
    assert isinstance(await world.venue.orders(), Failed)


def execution(n: int, at: int) -> dict:
    return {
        "execId": f"e{n}",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderId": "o",
        "execPrice": "1",
        "execQty": "1",
        "execTime": str(at),
        "seq": n,
    }


async def test_executions_of_any_span_come_once_and_in_order():
    world = World()
    day = 86_400_000
    at = [START_MS - 30 * day + k * day for k in range(31)]

    def answer(params: dict) -> bytes:
        start, end = int(params["startTime"]), int(params["endTime"])
        assert end - start < 7 * day
        inside = [k for k, t in enumerate(at) if start <= t <= end]
        inside.sort(reverse=True)  # the venue gives the newest first
        done = int(params.get("cursor", 0))
        rows = [execution(k, at[k]) for k in inside[done : done + 2]]
        more = done + 2 < len(inside)
        return page(*rows, cursor=str(done + 2) if more else "")

    world.transport.script(EXECUTIONS, answer)
    result = await world.venue.executions(start_ms=at[0], end_ms=START_MS)
    assert isinstance(result, Ok)
    assert [e.exec_id for e in result.value] == [f"e{k}" for k in range(31)]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (Reply(403, b""), Banned),
        (Reply(429, b""), Throttled),
        (envelope(code=10006), Throttled),
        (envelope(code=10003), Failed),
        (b"", Failed),
    ],
    ids=str,
)
async def test_readings_that_fail_say_how(bad, kind):
    world = World()
    world.transport.script(POSITIONS, bad)
    async with Running(world.clock):
        assert isinstance(await world.venue.positions(), kind)


async def test_the_wallet_carries_the_venues_time():
    world = World()
    row = {"coin": [{"coin": "USDT", "walletBalance": "1000.5", "equity": "999"}]}
    world.transport.script("/v5/account/wallet-balance", envelope({"list": [row]}))
    result = await world.venue.wallet()
    assert isinstance(result, Ok)
    assert result.value.wallet_balance == D("1000.5")
    assert result.value.updated_time == START_MS


async def test_a_look_before_the_last_sending_proves_nothing_of_it():
    world = World()
    world.transport.script(REALTIME, page())
    world.transport.script(HISTORY, page())
    world.clock.advance(10.0)
    assert isinstance(await look(world), Undecided)  # of the first sending
    again_ms = world.clock.now_ms()  # sent once more
    world.clock.advance(40.0)
    for expected in (Undecided, Undecided, Absent):
        result = await world.venue.look_up("BTCUSDT", "a1", sent_ms=again_ms)
        assert isinstance(result, expected)
        world.clock.advance(3.0)


async def test_replies_that_do_not_say_their_time_end_a_lookup_too():
    world = World()
    silent = page().replace(b'"time": 0', b'"time": "soon"')
    world.transport.script(REALTIME, silent)
    world.transport.script(HISTORY, silent)
    world.clock.advance(40.0)
    assert isinstance(await look(world), Undecided)
    world.clock.advance(6.0)
    assert isinstance(await look(world), Absent)


@pytest.mark.parametrize(
    "shut", [envelope(code=429), envelope(code=-1), Reply(429, b"")], ids=["429", "-1", "HTTP 429"]
)
@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("then", [None, 110007], ids=["stale", "refused"])
async def test_a_refusal_under_load_is_checked_before_an_order_counts_as_not_placed(
    shut, taken, then
):
    world = World()
    world.transport.script(CREATE, shut, *([envelope(code=then)] if then else []))
    world.transport.script(REALTIME, page(*([order_row("a1")] if taken else [])))
    world.transport.script(HISTORY, page())
    expires_ms = world.clock.now_ms() + (600_000 if then else 3_000)
    async with Running(world.clock, step_s=0.25):
        end = await place_surely(world.venue, buy(), world.clock, expires_ms=expires_ms)
    assert isinstance(end, Placed if taken else NotPlaced)
    assert {params["orderLinkId"] for params in world.transport.calls(CREATE)} == {"a1"}


async def test_an_unreadable_row_of_our_own_id_ends_an_unknown():
    world = World()
    world.transport.script(CREATE, NoReply("cut", maybe_sent=True))
    world.transport.script(REALTIME, page(order_row("a1") | {"qty": "many"}))
    world.transport.script(HISTORY, page())
    async with Running(world.clock, step_s=0.5):
        end = await place_surely(
            world.venue, buy(), world.clock, expires_ms=world.clock.now_ms() + 600_000
        )
    assert isinstance(end, Placed)
    assert end.order is not None
    assert (end.order_id, end.order.order_status) == ("id-a1", UNREADABLE)
    assert len(world.transport.calls(CREATE)) == 1


async def test_a_list_with_an_unreadable_row_fails_and_names_it():
    world = World()
    good, bad = order_row("a1"), order_row("a2", symbol="ETHUSDT") | {"qty": "many"}
    world.transport.script(REALTIME, page(good, bad))
    outcome = await world.venue.orders()
    assert isinstance(outcome, Failed)
    assert outcome.partial is not None
    assert [o.order_id for o in outcome.partial.value] == ["id-a1"]
    (row,) = outcome.partial.unread
    assert (row.what, row.symbol, row.order_id, row.order_link_id) == (
        "order", "ETHUSDT", "id-a2", "a2",
    )  # fmt: skip
    fills = {"execId": "e1", "symbol": "ETHUSDT", "execTime": str(START_MS), "execQty": "x"}
    world.transport.script(EXECUTIONS, page(fills))
    outcome = await world.venue.executions(start_ms=START_MS - 1)
    assert isinstance(outcome, Failed)
    assert outcome.partial is not None
    assert [(u.exec_id, u.ts) for u in outcome.partial.unread] == [("e1", START_MS)]


@pytest.mark.parametrize("end", ["New", "Filled", None])
async def test_a_cancel_believes_that_there_is_no_order_once_it_is_proven(end):
    world = World()
    gone = envelope(code=110001, message="order not exists or too late to cancel")
    world.transport.script(CANCEL, gone, envelope({"orderId": "id-a1"}))
    listed = page(order_row("a1", end)) if end else page()
    # three lists of the cancel's own look lag behind
    world.transport.script(REALTIME, page(), page(), listed)
    world.transport.script(HISTORY, page())
    async with Running(world.clock, step_s=0.5):
        result = await cancel_surely(
            world.venue, "BTCUSDT", "a1", world.clock, expires_ms=START_MS + 600_000
        )
    cancels = len(world.transport.calls(CANCEL))
    if end == "New":
        assert result == Accepted("id-a1", "a1")
        assert cancels == 2
    elif end == "Filled":
        assert isinstance(result, Accepted)
        assert result.order is not None
        assert (result.already, result.order.order_status, cancels) == (True, "Filled", 1)
    else:
        assert isinstance(result, Refused)
        assert (result.code, result.doubtful_ms, cancels) == (110001, None, 1)
        assert world.clock.now_ms() >= START_MS + ABSENT_AGE_MS


@pytest.mark.parametrize("end", ["New", "Filled", None])
async def test_an_amendment_believes_that_there_is_no_order_once_it_is_proven(end):
    world = World()
    gone = envelope(code=110001, message="order not exists or too late to replace")
    world.transport.script(AMEND, gone, envelope({"orderId": "id-a1"}))
    listed = page(order_row("a1", end)) if end else page()
    world.transport.script(REALTIME, page(), page(), listed)
    world.transport.script(HISTORY, page())
    change = OrderChange(symbol="BTCUSDT", order_link_id="a1", price=Decimal(99))
    async with Running(world.clock, step_s=0.5):
        result = await amend_surely(world.venue, change, world.clock, expires_ms=START_MS + 600_000)
    amends = len(world.transport.calls(AMEND))
    if end == "New":
        assert result == Accepted("id-a1", "a1")
        assert amends == 2
        return
    assert isinstance(result, Refused)
    assert (result.code, result.doubtful_ms, amends) == (110001, None, 1)
    if end == "Filled":
        assert result.order is not None
        assert result.order.order_status == "Filled"
    else:
        assert world.clock.now_ms() >= START_MS + ABSENT_AGE_MS


@pytest.mark.parametrize("taken", [True, False])
async def test_a_no_after_an_unknown_amendment_speaks_of_the_last_send_only(taken):
    """The first send was lost and may have been taken in; the second met a key that had ended."""
    world = World()
    lost = NoReply("timed out", maybe_sent=True)
    done = envelope({"orderId": "id-a1"})
    world.transport.script(AMEND, lost, envelope(code=33004, message="expired"), done)
    world.transport.script(REALTIME, page(order_row("a1") | {"price": "99" if taken else "98"}))
    change = OrderChange(symbol="BTCUSDT", order_link_id="a1", price=Decimal(99))
    async with Running(world.clock, step_s=0.5):
        result = await amend_surely(world.venue, change, world.clock, expires_ms=START_MS + 600_000)
    assert isinstance(result, Accepted)
    assert len(world.transport.calls(AMEND)) == (2 if taken else 3)
