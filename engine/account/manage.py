"""Leading what is held: at every bar's close exactly as research does, and the clock between."""

from decimal import Decimal
from math import isfinite

from engine.account import exits, targets
from engine.account.draft import Draft
from engine.account.entry import ask_again, withdraw
from engine.account.messages import BarClosed, SignalEnded, StopAnswered, Tick
from engine.account.state import Trade
from engine.kernels.path_rules import breakeven_price, next_stop
from engine.venue.codes import Action, Proof, verdict
from engine.venue.instrument import exact

CANCEL_AGAIN_MS = 5_000
STOP_AGAIN_MS = 2_000
STOP_ANSWER_MS = 10_000  # a move of the stop nobody answered is asked again
STOP_TRIES_MAX = 5
STOP_SLOW_MS = 30_000  # and then it is tried so seldom
ODD_MS = 3_000  # holdings here and at the venue may differ for so long
TIME_GRACE_MS = 60_000  # a time stop waits so long for its bar
UNKNOWN_READ_MS = 60_000
OVER = frozenset({"FAILED", "INVAL", "DISARM", "RESET"})  # COOLED is a breakout that held


def on_bar(draft: Draft, message: BarClosed) -> None:
    """Learn what the closed bar of a held coin tells: it acts from the next bar on."""
    trade = draft.of_symbol(message.symbol)
    numbers = (message.open, message.high, message.low, message.close)
    if trade is None or not all(isfinite(x) and x > 0 for x in numbers):
        return
    if message.interval_ms != trade.interval_ms or message.ts <= trade.bar_ts:
        return
    if trade.status != "open" or trade.qty <= 0:
        return
    begins_ms = entry_bar_ms(trade)
    if message.ts < begins_ms:
        return
    highest = _highest(trade, message, begins_ms)
    trade = draft.put(trade, bar_ts=message.ts, highest=highest, mark=exact(message.close))
    trade = _reach_target(draft, trade, message)
    closes_ms = message.ts + message.interval_ms
    if closes_ms - begins_ms >= trade.plan.time_stop_bars * trade.interval_ms:
        exits.want(draft, trade, "time")
        return
    if trade.tp1_ms and trade.tp1_ms < closes_ms:
        tighten(draft, trade, message.close)


def entry_bar_ms(trade: Trade) -> int:
    """Return the open of the bar in which the entry was filled."""
    return trade.opened_ms - trade.opened_ms % trade.interval_ms


def _highest(trade: Trade, bar: BarClosed, begins_ms: int) -> Decimal:
    """Return the highest price held: in a limit's own bar the high may be older than the fill."""
    seen = exact(bar.high)
    inside = not trade.plan.market and exact(bar.open) > trade.plan.entry
    if bar.ts == begins_ms and inside:
        seen = max(trade.entry_price or trade.plan.entry, exact(bar.close))
    return max(trade.highest, seen)


def _reach_target(draft: Draft, trade: Trade, bar: BarClosed) -> Trade:
    """Where no target order can stand (too little, or taken back), its price counts instead."""
    order = trade.of_leg("tp1")
    stands = order is not None and not order.is_over
    if trade.tp1_ms or stands or trade.highest < targets.price_of(trade):
        return trade
    if exact(bar.high) < targets.price_of(trade):
        return trade
    draft.audit("tp1_passed", trade_id=trade.trade_id)
    return draft.put(trade, tp1_ms=bar.ts + bar.interval_ms - 1)


def tighten(draft: Draft, trade: Trade, close: float) -> None:
    """Move the stop to breakeven, and then after the highest price; never down."""
    plan, entry = trade.plan, trade.entry_price
    if entry is None or trade.stop_loss is None:
        return
    even = float(breakeven_price(float(entry), float(plan.taker_fee), float(plan.sweep)))
    moved = next_stop(
        float(trade.stop_loss), even, float(trade.highest), float(plan.batr), float(plan.trail_batr)
    )
    stop = targets.ceil_to_tick(float(moved), trade.contract)
    if stop <= trade.stop_loss:
        return
    kind = "trail" if moved > even else "breakeven"
    if stop >= exact(close):
        # research leaves at the next open; a venue would not take a stop above the price
        trade = draft.put(trade, stop_kind=kind)
        exits.want(draft, trade, kind)
        return
    draft.audit("stop_moved", trade_id=trade.trade_id, before=trade.stop_loss, after=stop)
    draft.move_stop(trade, stop, kind, stop_kind=kind, stop_tries=0)


def on_stop(draft: Draft, message: StopAnswered) -> None:
    """Take in what became of a move of a stop."""
    trade = draft.trade(message.trade_id)
    if trade is None or not trade.is_live:
        return
    said = verdict(message.code, message.text, op="trading-stop")
    # Neither yes nor a code is no answer: nobody knows where the stop is, so it is asked for again.
    # "Not modified" may mean that a parameter was missed: who could verify it has said yes.
    certain = bool(message.code) and said.action is not Action.VERIFY
    if message.ok or (certain and said.proof is Proof.TAKEN):
        stop_stands(draft, trade, message.stop_loss)
    elif said.action is Action.CLOSE_NOW:
        draft.audit("stop_too_late", trade_id=trade.trade_id, stop=message.stop_loss)
        exits.want(draft, trade, trade.stop_kind)
    elif said.action is Action.STOP_USER:
        refuse_key(draft, message.code, message.text)
    else:
        trade = draft.put(trade, stop_ms=draft.at_ms, stop_tries=trade.stop_tries + 1)
        draft.read_account(f"{trade.symbol}: the stop could not be set")
        if trade.stop_tries == STOP_TRIES_MAX:
            draft.alert(
                "error",
                f"stop_fails:{trade.trade_id}:{message.stop_loss}",
                f"{trade.symbol}: the stop could not be moved to {message.stop_loss:f} "
                f"({message.code} {message.text}); the one before stands.",
                severity="critical",
                trade=trade,
            )


def stop_stands(draft: Draft, trade: Trade, stop: Decimal) -> Trade:
    """Take in where the venue has the stop: by its answer or by the position, whichever is first.

    What comes late changes nothing: a tighter one stands.
    """
    before = trade.stop_set
    if before is not None and stop <= before:
        return trade
    trade = draft.put(trade, stop_set=stop, stop_tries=0)
    if trade.stop_kind != "stop" and stop == trade.stop_loss:
        draft.alert(
            trade.stop_kind,
            f"stop:{trade.trade_id}:{stop.normalize():f}",
            f"{trade.symbol}: stop at {stop:f} ({trade.stop_kind}).",
            trade=trade,
            stop=stop,
        )
    return trade


def refuse_key(draft: Draft, code: int, text: str) -> None:
    """Stop entering with a key that the venue refuses; stops at the venue stay."""
    if draft.state.key_refused:
        return
    draft.set(key_refused=True)
    draft.audit("key_refused", code=code, text=text)
    draft.alert(
        "error",
        f"key:{code}:{draft.at_ms}",
        f"The venue refuses your key ({code} {text}). No entries; stops at the venue stay.",
        severity="critical",
    )


def on_end(draft: Draft, message: SignalEnded) -> None:
    """Take back an entry whose setup is over; leave a trade where the user wants that."""
    end = message.end
    trade = draft.of_symbol(end.symbol)
    if trade is None or end.kind not in OVER or end.t <= trade.signal_ms:
        return
    if (end.profile, end.interval_ms) != (trade.profile, trade.interval_ms):
        return
    if draft.params.cancel_on_end or trade.plan.exit_on_failed:
        trade = withdraw(draft, trade, end.kind.lower())
    if end.kind == "FAILED" and trade.plan.exit_on_failed and trade.qty > 0:
        exits.want(draft, trade, "failed")


# ---------------------------------------------------------------------------- time


def on_tick(draft: Draft, _: Tick) -> None:
    """Let time pass at every trade."""
    for trade in list(draft.live()):
        tick(draft, trade)


def tick(draft: Draft, trade: Trade) -> None:
    """Expire an entry, repeat what had no effect, leave what should have been left."""
    if draft.at_ms >= trade.plan.expires_ms:
        trade = withdraw(draft, trade, "expired")
    trade = ask_again(draft, trade, CANCEL_AGAIN_MS)
    trade = exits.after_stop(draft, trade)
    trade = _late_time_stop(draft, trade)
    trade = _stop_again(draft, trade)
    _look_at_odd(draft, trade)


def _late_time_stop(draft: Draft, trade: Trade) -> Trade:
    if trade.status != "open" or trade.qty <= 0:
        return trade
    span_ms = trade.plan.time_stop_bars * trade.interval_ms
    if draft.at_ms >= entry_bar_ms(trade) + span_ms + TIME_GRACE_MS:
        return exits.want(draft, trade, "time")
    return trade


def _stop_again(draft: Draft, trade: Trade) -> Trade:
    """Ask again for a stop that the venue has not confirmed."""
    wanted, stands = trade.stop_loss, trade.stop_set
    if trade.status != "open" or trade.qty <= 0 or wanted is None or stands is None:
        return trade
    if wanted <= stands or trade.exit_wish:
        return trade
    wait_ms = STOP_ANSWER_MS
    if trade.stop_tries:
        wait_ms = STOP_AGAIN_MS if trade.stop_tries < STOP_TRIES_MAX else STOP_SLOW_MS
    if draft.at_ms - trade.stop_ms < wait_ms:
        return trade
    return draft.move_stop(trade, wanted, trade.stop_kind)


def _look_at_odd(draft: Draft, trade: Trade) -> None:
    """Read the account where holdings differ from the venue's for longer than news take."""
    if trade.odd_ms and draft.at_ms - trade.odd_ms >= ODD_MS:
        draft.put(trade, odd_ms=draft.at_ms)
        draft.read_account(f"{trade.symbol}: {trade.qty:f} here, another at the venue")
    for order in trade.orders:
        flying = order.state == "unknown" and draft.at_ms - order.made_ms >= UNKNOWN_READ_MS
        unbooked = order.state == "done" and not order.is_over
        if flying or unbooked:
            draft.read_account(f"{trade.symbol}: an order's fate is not told")
