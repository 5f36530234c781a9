"""Every sentence of the pages and the terminal: plain, present tense, with the number."""

from collections.abc import Mapping
from math import exp
from typing import Any

from app.api.views import Card, Check, Coin, Market, Move, Score
from app.dashboard import format as f
from engine.messages import Gate, Phase

PHASES = ("Monitoring", "Dump", "Stabilising", "Base", "Armed", "Breakout", "Entry", "Managing")
MODES: Mapping[str, str] = {
    "SIM": "Invented or replayed market, simulated exchange",
    "PAPER": "Real market, simulated fills, no key",
    "DEMO": "Bybit demo account, no real money",
    "TESTNET": "Bybit testnet",
    "LIVE": "Real money",
}
LEVELS: Mapping[str, str] = {
    "SCORED": "Scored zone",
    "DONCHIAN": "Highest of the range",
    "LAST_SWING": "Last swing high",
    "MAX_TOUCH": "Most touches",
    "VALUE_AREA_HIGH": "Value-area high",
    "Q95": "95 % of the closes",
    "PREDUMP_SHELF": "Shelf before the dump",
    "RANDOM": "Random, as a control",
}
GATES: Mapping[str, str] = {
    "BODY": "candle body",
    "CLOSE_LOCATION": "close too low in its bar",
    "VOLUME": "volume",
    "CHASE": "already too far",
}
# name -> (what it says, unit, how it is written)
CHECKS: Mapping[str, tuple[str, str]] = {
    "close": ("Close above level", "atr"),
    "body": ("Candle body", "share"),
    "clv": ("Close in the top of its bar", "share"),
    "volume": ("Volume", "times"),
    "chase": ("Not too far", "atr"),
    "length": ("Length of the base", "bars"),
    "height": ("Height of the range", "atr"),
    "share": ("Height, share of the dump", "share"),
    "drift": ("Drift, heights per base", "share"),
    "efficiency": ("Net move over path", "share"),
    "score": ("Level score", "share"),
    "touches_r": ("Touches of the ceiling", "count"),
    "touches_s": ("Touches of the floor", "count"),
}
_KINDS: Mapping[str, str] = {
    "LEVEL": "Level moved",
    "DISARM": "Disarmed",
    "REJECTED": "Breakout refused",
    "INVAL": "Invalidated",
    "VREC": "V-recovery",
    "TIMEOUT": "Given up",
    "FAILED": "Breakout failed",
    "RESET": "Measured anew",
    "COOLED": "Breakout over",
}


def phase_name(phase: int) -> str:
    """Return the name of a phase."""
    return PHASES[phase - 1]


def title(move: Move) -> str:
    """Return what an event is called: the phase it leads to, or its own name."""
    return _KINDS.get(move.kind) or phase_name(move.after)


def short(symbol: str) -> str:
    """Return a coin's name without its quote."""
    return symbol.removesuffix("USDT") or symbol


# What an empty column says: what would fill it.
EMPTY_COLUMN: Mapping[int, str] = {
    2: "No coin falls hard enough.",
    3: "No fall has paused.",
    4: "No base forms.",
    5: "No coin waits for a breakout.",
    6: "No fresh breakout.",
}


# ---------------------------------------------------------------- why


def _fall(drop: float | None) -> str:
    """Return ln(peak/close) as a change in percent."""
    return f.percent(None if drop is None else exp(-drop) - 1.0, sign=True)


def _refusals(move: Move, params_limit: str = "") -> str:
    names = [GATES.get(name, name.lower()) for name in move.reject]
    return ", ".join(names) + params_limit if names else "a check"


def why(move: Move) -> str:
    """Return the reason for an event in one sentence, from its own facts."""
    make = _WHY.get(move.kind)
    return make(move) if make else ""


def _price(move: Move, field: str) -> str:
    value = move.facts.get(field)
    return f.price(value if value else None, move.tick)


def _fact(move: Move, field: str) -> float | None:
    value = move.facts.get(field)
    return value if isinstance(value, int | float) else None


def _dump(m: Move) -> str:
    return f"{_fall(_fact(m, 'drop'))} from the high, {f.number(_fact(m, 'z'), 1)} σ"


def _stab(m: Move) -> str:
    trough, t = _fact(m, "trough_t"), m.t
    contraction = _fact(m, "contraction")
    calm = "" if contraction is None else f", ATR down {f.percent(1 - contraction, 0)}"
    quiet = "" if trough is None else f" for {f.age(int(t - trough))}"
    return f"No new low{quiet}{calm}"


def _level(m: Move) -> str:
    touches = m.facts.get("touches_r")
    tail = f", {f.count(int(touches), 'touch', 'touches')}" if touches else ""
    return f"Level {_price(m, 'level')}, score {f.number(_fact(m, 'level_score'))}{tail}"


def _breakout(m: Move) -> str:
    chase = _fact(m, "chase_atr")
    return (
        f"Close {_price(m, 'close')}, {f.atr(chase)} above {_price(m, 'level')}, "
        f"volume {f.times(_fact(m, 'relvol'))}, all checks passed"
    )


def _rejected(m: Move) -> str:
    return f"Close {_price(m, 'close')} above {_price(m, 'level')}, refused: {_refusals(m)}"


def _inval(m: Move) -> str:
    return f"Close {_price(m, 'close')} broke the floor {_price(m, 'floor')}: the fall goes on"


def _vrec(m: Move) -> str:
    return f"Close {_price(m, 'close')}: won back too fast, no base"


def _timeout(m: Move) -> str:
    bars = m.facts.get("nb")
    return f"Too old after {bars:,} bars" if bars else "Too old without a base"


def _failed(m: Move) -> str:
    return f"Close {_price(m, 'close')}, back under the level {_price(m, 'level')}"


_WHY: Mapping[str, Any] = {
    "DUMP": _dump,
    "STAB": _stab,
    "ARMED": _level,
    "LEVEL": _level,
    "DISARM": lambda _: "The range has lost its shape",
    "BREAKOUT": _breakout,
    "REJECTED": _rejected,
    "INVAL": _inval,
    "VREC": _vrec,
    "TIMEOUT": _timeout,
    "FAILED": _failed,
    "RESET": lambda _: "A gap in the data: everything is measured anew",
    "COOLED": lambda _: "It held its level to the end of the watch",
}


# ---------------------------------------------------------------- the board


def card_fact(card: Card) -> str:
    """Return the one thing that matters of a coin in its phase."""
    if card.status != "live":
        return {"repairing": "filling a gap", "dormant": "no bars", "warming": "warming up"}.get(
            card.status, card.status
        )
    return _FACTS[card.phase - 1](card)


def _quiet(card: Card) -> str:
    if card.quiet_bars is None:
        return f"{_fall(card.drop)} · {f.number(card.z, 1)} σ"
    if card.quiet_bars >= card.quiet_min:
        return "low holds, still volatile"
    return f"{card.quiet_bars} of {card.quiet_min} bars"


_MISSING: Mapping[str, str] = {
    "height": "range too flat",
    "share": "range too high",
    "drift": "drifts too much",
    "efficiency": "still trends",
    "score": "level too weak",
}


def _base(card: Card) -> str:
    if card.level is None:
        short = card.nb is not None and card.nb < card.base_min
        return f"{card.nb} of {card.base_min} bars" if short else "no level yet"
    if card.missing is not None and card.missing in _MISSING:
        return f"score {f.number(card.level_score)} · {_MISSING[card.missing]}"
    if card.missing == "length":
        return f"score {f.number(card.level_score)} · {card.nb} of {card.base_min} bars"
    return f"score {f.number(card.level_score)}"


def _armed(card: Card) -> str:
    if card.distance_atr is not None and card.distance_atr <= 0:
        return f"at {f.price(card.level, card.tick)}"
    return f"{f.atr(card.distance_atr)} to {f.price(card.level, card.tick)}"


_FACTS = (
    lambda c: f.percent(c.change_24h, sign=True),
    lambda c: f"{_fall(c.drop)} · {f.number(c.z, 1)} σ" if c.z is not None else _fall(c.drop),
    _quiet,
    _base,
    _armed,
    lambda c: f"over {f.price(c.level, c.tick)}",
)


def _coins(n: int) -> str:
    return "1 coin" if n == 1 else f"{n:,} coins"


def board_sentence(market: Market) -> str:
    """Return the page's answer: who waits, who is nearest."""
    if not market.eligible:
        return "No coin is watched yet. The list of instruments is being read."
    now = {step.phase: step.now for step in market.funnel}
    armed = market.columns[5]
    if armed:
        nearest = armed[0]
        verb = "waits" if now[5] == 1 else "wait"
        tail = (
            f" {short(nearest.symbol)} is nearest: {f.atr(nearest.distance_atr)}."
            if nearest.distance_atr is not None
            else ""
        )
        return f"{_coins(now[5])} {verb} for a breakout.{tail}"
    if now[6]:
        return f"{_coins(now[6])} just broke out; none waits."
    if now[4]:
        form = "forms" if now[4] == 1 else "form"
        return f"No coin is armed. {_coins(now[4])} {form} a base."
    falling = now[2] + now[3]
    if falling:
        return f"No base stands. {_coins(falling)} fell and may settle."
    return f"All {market.eligible:,} coins are quiet: no dump in sight."


def board_note(market: Market) -> str:
    """Return the line at the head's right: who judges, when next."""
    closes = f" · next close {f.clock(market.next_close)}" if market.next_close else ""
    return f"Profile “{market.profile}”{closes}"


def scan_note(market: Market) -> str:
    """Return how the last close went."""
    if market.scan_ms is None:
        return f"As of {f.day_clock(market.as_of)}"
    coins = market.scan_symbols or market.eligible
    at = f.clock(market.next_close - market.interval_ms)
    return f"All {coins:,} scanned in {f.number(market.scan_ms, 0)} ms at {at}"


def funnel_note(phase: int, arrived: int | None, share: float | None) -> str:
    """Return a phase's count of the day."""
    if phase == 1 or arrived is None:
        return "watched now"
    tail = f", {f.percent(share, 0)}" if share is not None else ""
    return f"{arrived:,} came in 24 h{tail}"


# ---------------------------------------------------------------- the coin


def coin_sentence(coin: Coin) -> str:
    """Return the page's answer: what the coin does now, and what it waits for."""
    card = coin.card
    if card.phase == Phase.ARMED:
        if coin.checks_of == "breakout":
            return (
                f"Tried the level {f.price(card.level, card.tick)} and was refused; it still waits."
            )
        level, left = f.price(card.level, card.tick), f.atr(card.distance_atr)
        return f"Waits for a close above {level}: {left} to go."
    if card.phase == Phase.BREAKOUT:
        return f"Broke out over {f.price(card.level, card.tick)}; watched until it holds or fails."
    if card.phase == Phase.BASE:
        missing = [CHECKS[c.name][0].lower() for c in coin.checks if c.passed is False]
        if card.level is None:
            return "A base forms; no ceiling has earned a level yet."
        return (
            f"A base forms; not yet met: {missing[0]}."
            if missing
            else "A base forms; it may arm at any close."
        )
    if card.phase == Phase.STABILIZATION:
        if card.quiet_bars is not None and card.quiet_bars >= card.quiet_min:
            return "The low holds, but the bars are still too wild for a base."
        return f"The fall has paused: {_quiet(card)} without a new low."
    if card.phase == Phase.DUMP:
        return f"Falling: {_fall(card.drop)} from its high. Lower lows start the count anew."
    return "Quiet: no dump large enough stands."


def check_value(check: Check) -> str:
    """Return a check's value with its unit."""
    return _measure(check.value, CHECKS[check.name][1], sign=check.name == "close")


def check_limit(check: Check) -> str:
    """Return a check's limit."""
    unit = CHECKS[check.name][1]
    value = f.number(check.limit) if unit == "atr" else _measure(check.limit, unit)
    return f"{'≥' if check.at_least else '≤'} {value}"


def _measure(value: float | None, unit: str, *, sign: bool = False) -> str:
    if value is None:
        return f.DASH
    if unit == "atr":
        return f"{f.number(value, 2, sign=sign)} ATR"
    if unit == "times":
        return f.times(value)
    if unit == "bars":
        return f"{f.number(value, 0)} bars"
    return f.number(value, 0 if unit == "count" else 2)


def checks_title(of: str) -> str:
    """Return what the checks judge."""
    return "Is it a base?" if of == "base" else "Breakout checks"


def score_sentence(score: Score) -> str:
    """Return a level's score in its parts, and when it would be replaced."""
    parts = (
        ("touches", score.touch),
        ("dense below and thin above", score.edge),
        ("an older level stands here", score.polarity),
        ("round number", score.round),
        ("closes above it", score.over),
    )
    told = ", ".join(f"{name} {f.number(value, 2, sign=True)}" for name, value in parts)
    return (
        f"Score {f.number(score.total)}: {told}. Replaced by a higher level that scores "
        f"{f.number(score.rival_up)} more, by a lower one only with "
        f"{f.number(score.rival_down)} more."
    )


def reject_names() -> tuple[str, ...]:
    """Return the gates that may refuse a breakout, as events name them."""
    return tuple(str(gate.name) for gate in Gate)
