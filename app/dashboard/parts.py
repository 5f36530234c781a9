"""The vocabulary of the pages: small pieces of markup.

Pieces take and return `markupsafe.Markup`; a plain string is always escaped, so hostile text from a
venue (a coin's name) cannot become markup.
"""

from collections.abc import Iterable, Sequence

from markupsafe import Markup

NOTHING = Markup("")
Text = str | Markup


def join(pieces: Iterable[Text]) -> Markup:
    """Return pieces one after the other, plain strings escaped."""
    return NOTHING.join(pieces)


def slot(name: str, body: Text) -> Markup:
    """Return a place that the live socket may fill anew; it has no box of its own."""
    return Markup('<div class="slot" data-slot="{}">{}</div>').format(name, body)


def live(key: str, text: Text, css: str = "") -> Markup:
    """Return text that the live socket patches in place."""
    return Markup('<span class="{}" data-live="{}">{}</span>').format(css, key, text)


def quiet(text: Text) -> Markup:
    """Return text of second rank."""
    return Markup('<span class="q">{}</span>').format(text)


def head(title: Text, answer: Text, right: Text = "") -> Markup:
    """Return a page's title, the sentence that answers its question, and the right side."""
    return Markup(
        '<header class="head"><div><h1>{}</h1><div class="answer">{}</div></div>'
        '<div class="right">{}</div></header>'
    ).format(title, answer, right)


def status_strip(
    *, mode: str, tooltip: str, note: str, state: str, tone: str, age: str, day: str, clock: str
) -> Markup:
    """Return the strip that never leaves the screen; its words are patched by topic ``status``."""
    css = mode.lower() if mode.isalnum() else "sim"
    return Markup(
        '<div class="edge m-{0}"></div>'
        '<div class="strip" role="status" aria-label="Mode {1}: {2}" aria-live="off">'
        '<span class="mode m-{0}" title="{2}">{1}</span>{3}'
        '<span><i class="dot {4}" data-tone="status.tone"></i>{5}</span>{6}{7}</div>'
    ).format(
        css, mode, tooltip, live("status.note", note, "opt"), tone,
        live("status.state", state), live("status.age", age, "opt"),
        Markup('<span><span class="opt">{} </span>{} UTC</span>').format(
            live("status.day", day), live("status.clock", clock)
        ),
    )  # fmt: skip


def card(title: Text, body: Text, *, right: Text = "", css: str = "") -> Markup:
    """Return a titled card."""
    return Markup(
        '<section class="card {}"><div class="ct"><h2>{}</h2><span>{}</span></div>{}</section>'
    ).format(css, title, right, body)


def phase(n: int, name: Text, css: str = "") -> Markup:
    """Return the numbered chip of a phase."""
    return Markup('<span class="ph p{0} {2}"><b>{0}</b><span>{1}</span></span>').format(
        n, name, css
    )


def coin(symbol: str, name: Text) -> Markup:
    """Return a coin's name that opens its page."""
    return Markup('<span class="sym" role="link" tabindex="0" data-go="{}">{}</span>').format(
        symbol, name
    )


def link(symbol: str, text: Text, *, key: str = "", title: str = "") -> Markup:
    """Return a button that opens a coin, with its key."""
    return Markup('<button class="nav" data-go="{}" data-key="{}" title="{}">{}</button>').format(
        symbol, key, title, text
    )


def spark(ys: Sequence[float], *, width: int = 120, height: int = 20) -> Markup:
    """Return a line of closes, scaled to its own range; nothing for fewer than two."""
    if len(ys) < 2:  # noqa: PLR2004 - a line needs two points
        return Markup('<svg class="spark" aria-hidden="true"></svg>')
    lo, hi = min(ys), max(ys)
    step, span = width / (len(ys) - 1), (hi - lo) or 1.0
    pts = " ".join(
        f"{i * step:.1f},{height - 2 - (y - lo) / span * (height - 4):.1f}"
        for i, y in enumerate(ys)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
        '<polyline points="{}"/></svg>'
    ).format(width, height, pts)


def meter(share: float, label: Text, css: str = "") -> Markup:
    """Return a share of something as a bar, 0..1."""
    part = min(max(share, 0.0), 1.0)
    return Markup(
        '<div class="bar" role="meter" aria-valuemin="0" aria-valuemax="1" aria-valuenow="{:.2f}" '
        'aria-label="{}"><i class="{}" style="width:{:.1f}%"></i></div>'
    ).format(part, label, css, part * 100)


def rail(place: float, label: Text, css: str = "") -> Markup:
    """Return where a price stands in a range, 0..1, as a dot on a line."""
    part = min(max(place, 0.0), 1.0)
    return Markup(
        '<div class="dotrail {}" role="img" aria-label="{}"><i style="left:{:.1f}%"></i></div>'
    ).format(css, label, part * 100)


def definitions(rows: Iterable[tuple[Text, Text]]) -> Markup:
    """Return names and values."""
    return Markup("<dl>{}</dl>").format(
        join(Markup("<dt>{}</dt><dd>{}</dd>").format(*row) for row in rows)
    )


def empty(text: Text) -> Markup:
    """Return what stands where nothing is yet: what will fill it, and when."""
    return Markup('<p class="empty">{}</p>').format(text)
