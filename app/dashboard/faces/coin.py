"""Coin: what the detector saw, when, and why."""

from collections.abc import Mapping

import streamlit as st
from markupsafe import Markup

from app.api.queries import current
from app.api.views import Check, Coin, Market, Move, Variant
from app.dashboard import format as f
from app.dashboard import parts as p
from app.dashboard import words
from app.dashboard.chart import chart
from app.dashboard.panel import panel

_LEGEND = (
    ("up", "", "Support"),
    ("accent", "", "Resistance"),
    ("accent", "ln", "Armed level"),
    ("down", "da", "Invalidation"),
)


def _state(coin: Coin) -> Markup:
    card = coin.card
    since = f"for {f.age(coin.as_of - card.since)} · " if card.since else ""
    change = f.percent(card.change_24h, sign=True)
    tone = "muted" if not card.change_24h else "up" if card.change_24h > 0 else "down"
    return Markup('{} &nbsp;{}profile “{}” · 24 h <b class="{}">{}</b> · {}').format(
        p.phase(card.phase, words.phase_name(card.phase)),
        since, coin.profile, tone, change, words.coin_sentence(coin),
    )  # fmt: skip


def _event(move: Move, interval_ms: int, css: str) -> Markup:
    return Markup(
        '<div class="k p{0} {1}"><b>{0}</b><i></i></div>'
        '<div class="w" role="button" tabindex="0" data-at="{2}"><b>{3}</b><p>{4}</p></div>'
        "<time>{5}</time>"
    ).format(
        move.after,
        css,
        move.t - interval_ms,
        words.title(move),
        words.why(move),
        f.day_clock(move.t),
    )


def _story(coin: Coin) -> Markup:
    shown = coin.story[:10]
    if not shown:
        return p.empty(
            f"Nothing yet. The first dump of {words.short(coin.symbol)} starts its story."
        )
    last = len(shown) - 1
    rows = (_event(m, coin.interval_ms, "end" if i == last else "") for i, m in enumerate(shown))
    return Markup('<div class="tl">{}</div>').format(p.join(rows))


def _check(check: Check) -> Markup:
    sign, tone, said = {
        True: ("✓", "up", "met"),
        False: ("✕", "down", "not met"),
        None: ("○", "muted", "not judged yet"),
    }[check.passed]
    return Markup(
        '<span class="{}" title="{}">{}</span><span>{}</span><b>{}</b><em>{}</em>'
    ).format(
        tone,
        said,
        sign,
        words.CHECKS[check.name][0],
        words.check_value(check),
        words.check_limit(check),
    )


def _checks(coin: Coin) -> Markup:
    if not coin.checks:
        return p.empty("Judged when a base has armed and a bar closes over its level.")
    return Markup('<div class="gate">{}</div>').format(p.join(_check(c) for c in coin.checks))


def _passed(coin: Coin) -> str:
    if coin.checks_of == "waiting":
        return "judged at each close"
    known = [c for c in coin.checks if c.passed is not None]
    when = f" · {f.day_clock(coin.checks_t)}" if coin.checks_t else ""
    return f"{sum(bool(c.passed) for c in known)} of {len(coin.checks)}{when}" if known else ""


def _variant(variant: Variant, tick: str) -> Markup:
    css = "sel" if variant.chosen else "q"
    tone = "accent" if variant.chosen else "muted"
    name = words.LEVELS[variant.kind]
    apart = "chosen" if variant.chosen else f.atr(variant.distance_atr, sign=True)
    return Markup(
        '<span class="{}">{}</span>{}<b class="n {}">{}</b><span class="n q">{}</span>'
    ).format(
        css, name, p.rail(variant.place, f"{name} within the range", tone),
        tone, f.price(variant.price, tick), apart,
    )  # fmt: skip


def _levels(coin: Coin) -> Markup:
    if not coin.variants:
        return p.empty("Eight ways to name the ceiling are compared once a base has a level.")
    rows = p.join(_variant(v, coin.tick) for v in coin.variants)
    told = words.score_sentence(coin.score) if coin.score else ""
    return Markup('<div class="lev">{}</div><div class="sub why">{}</div>').format(rows, told)


def slots(coin: Coin) -> Mapping[str, Markup]:
    """Return every part of the page that the market can change (the chart has its own topic)."""
    at = f" · {f.day_clock(coin.variants_t)}" if coin.variants_t else ""
    return {
        "coin.state": _state(coin),
        "coin.story": p.card("What happened and why", _story(coin), right="newest first"),
        "coin.checks": p.card(
            words.checks_title(coin.checks_of), _checks(coin), right=_passed(coin), css="c6"
        ),
        "coin.levels": p.card(
            "Levels considered", _levels(coin), right=f"from the chosen one{at}", css="c6"
        ),
    }


def _neighbours(market: Market, coin: Coin) -> Markup:
    order = market.order.get(coin.card.phase, ())
    if coin.symbol not in order or len(order) < 2:  # noqa: PLR2004 - itself is not a neighbour
        return p.NOTHING
    at = order.index(coin.symbol)
    before, after = order[at - 1], order[(at + 1) % len(order)]
    phase = words.phase_name(coin.card.phase)
    return p.join(
        (
            p.link(before, f"‹ {words.short(before)}", key="[", title=f"Previous in {phase}  ["),
            p.link(after, f"{words.short(after)} ›", key="]", title=f"Next in {phase}  ]"),
        )
    )


def head(coin: Coin, market: Market, state: Markup) -> Markup:
    """Return the page's head."""
    px = p.live(f"price:{coin.symbol}", f.price(coin.card.close, coin.tick), "px")
    title = Markup('<span class="now">{} {}</span>').format(coin.symbol, px)
    legend = p.join(
        Markup('<span class="{}"><i class="{}"></i>{}</span>').format(tone, kind, name)
        for tone, kind, name in _LEGEND
    )
    right = Markup('<span class="legend">{}</span>{}').format(legend, _neighbours(market, coin))
    return p.head(title, p.slot("coin.state", state), right)


def nearest(market: Market) -> str | None:
    """Return the coin worth a look when none was asked for: the one furthest along."""
    for phase in (6, 5, 4, 3, 2):
        if market.order[phase]:
            return market.order[phase][0]
    return None


def show() -> None:
    """Draw the page; from then on the live socket keeps it."""
    queries = current()
    market = queries.market()
    symbol = st.query_params.get("symbol") or nearest(market)
    coin = queries.coin(symbol) if symbol else None
    if coin is None:
        told = f"{symbol} is not watched." if symbol else "No coin is in a setup yet."
        why = p.empty(
            "Pick a coin on the Market page; the universe there says why others are left out."
        )
        panel(p.join((p.head("Coin", told), why)), key="coin_none")
        return
    at = slots(coin)
    live = (f"face:coin:{coin.symbol}", f"price:{coin.symbol}")
    panel(head(coin, market, at["coin.state"]), key="coin_head", topics=live)
    left, right = st.columns([2.55, 1], gap="small")
    with left:
        with st.container(key="chartcard"):
            chart(coin, key="coin_chart")
        below = p.join(p.slot(name, at[name]) for name in ("coin.checks", "coin.levels"))
        panel(Markup('<div class="g">{}</div>').format(below), key="coin_cards", topics=live)
    with right:
        panel(p.slot("coin.story", at["coin.story"]), key="coin_story", topics=live)
