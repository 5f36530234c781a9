"""Market: which coins are where in the six phases of the market, and what moves next."""

from collections.abc import Mapping

from markupsafe import Markup

from app.api.queries import current
from app.api.views import Card, FunnelStep, Market, Move
from app.dashboard import format as f
from app.dashboard import parts as p
from app.dashboard import words
from app.dashboard.panel import panel


def _step(step: FunnelStep) -> Markup:
    name = words.phase_name(step.phase)
    note = words.funnel_note(step.phase, step.arrived, step.share)
    bar = p.meter(step.share or 0.0, f"{name}: share of the phase before")
    return Markup(
        '<div class="fcol p{}">{}<div class="fcount">{:,}</div>{}<div class="fpass">{}</div></div>'
    ).format(step.phase, p.phase(step.phase, name), step.now, bar, note)


def _card(card: Card, as_of: int) -> Markup:
    age = f.age(as_of - card.since) if card.since else ""
    fresh = "fresh" if card.since and as_of - card.since < _FRESH_MS else ""
    name, fact = words.short(card.symbol), words.card_fact(card)
    return Markup(
        '<div class="coin p{} {}" role="link" tabindex="0" data-go="{}" aria-label="{}">'
        '<div class="t"><span>{}</span><em>{}</em></div>{}'
        '<div class="d"><span>{}</span></div></div>'
    ).format(
        card.phase, fresh, card.symbol, f"{name}, {words.phase_name(card.phase)}, {fact}",
        name, age, p.spark(card.spark), fact,
    )  # fmt: skip


_FRESH_MS = 3_600_000  # moved within the hour


def _column(market: Market, phase: int) -> Markup:
    cards = market.columns[phase]
    rest = len(market.order[phase]) - len(cards)
    more = Markup('<div class="more">{} more</div>').format(rest) if rest > 0 else p.NOTHING
    name = p.phase(phase, words.phase_name(phase), "colname")
    if not cards:
        return Markup('<div class="none">{}</div>').format(words.EMPTY_COLUMN[phase])
    return p.join((name, *(_card(card, market.as_of) for card in cards), more))


def _universe(market: Market) -> Markup:
    rows = (("Eligible", f"{market.eligible:,}"), *((r, f"{n:,}") for r, n in market.excluded))
    return Markup('<article class="coin uni p1">{}</article><div class="more">{}</div>').format(
        p.definitions(rows), words.scan_note(market)
    )


def _move(move: Move) -> Markup:
    step = p.join(
        (
            p.phase(move.before, words.phase_name(move.before)),
            p.quiet("→"),
            p.phase(move.after, words.phase_name(move.after)),
        )
    )
    return p.join(
        (
            p.quiet(f.clock(move.t)),
            p.coin(move.symbol, words.short(move.symbol)),
            Markup('<span class="step">{}</span>').format(step),
            p.quiet(words.why(move)),
        )
    )


def _moves(market: Market) -> Markup:
    if not market.moves:
        return p.empty(
            "No coin has changed its phase yet. The first dump of the market shows here."
        )
    return Markup('<div class="feed">{}</div>').format(p.join(_move(m) for m in market.moves))


def slots(market: Market) -> Mapping[str, Markup]:
    """Return every part of the page that the market can change."""
    return {
        "market.head": p.head(
            "Market by phase", words.board_sentence(market), p.quiet(words.board_note(market))
        ),
        "market.funnel": p.join(_step(step) for step in market.funnel),
        "market.1": _universe(market),
        **{f"market.{n}": _column(market, n) for n in range(2, 7)},
        "market.moves": _moves(market),
    }


def page(market: Market) -> Markup:
    """Return the whole page."""
    at = {name: p.slot(name, body) for name, body in slots(market).items()}
    board = p.join(
        Markup('<div class="col col{}">{}</div>').format(n, at[f"market.{n}"]) for n in range(1, 7)
    )
    return p.join(
        (
            at["market.head"],
            Markup('<div class="who">The market, the same for everyone</div>'),
            Markup('<div class="card flush"><div class="funnel">{}</div></div>').format(
                at["market.funnel"]
            ),
            Markup('<div class="board">{}</div>').format(board),
            p.card("Just moved", at["market.moves"], right="newest first", css="below"),
        )
    )


def show() -> None:
    """Draw the page; from then on the live socket keeps it."""
    panel(page(current().market()), key="market", topics=("face:market",))
