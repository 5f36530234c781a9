"""Markup is made in one place and escapes everything that is not markup already."""

import re
from pathlib import Path

from markupsafe import Markup

import app.dashboard.parts as p
from app.api import board, drawn
from app.dashboard.faces import coin as coin_face
from app.dashboard.faces import market as market_face
from data.profiles import load_profile
from tests.app.conftest import HOSTILE
from tests.app.feed import Feed

PARAMS = load_profile("default", "15m").params
EVIL = '"><script>alert(1)</script>'


def test_plain_text_is_escaped_and_markup_is_not() -> None:
    assert "&lt;script&gt;" in p.card(EVIL, EVIL, right=EVIL, css=EVIL)
    assert "<script" not in p.card(EVIL, EVIL, right=EVIL, css=EVIL)
    assert p.quiet(Markup("<b>x</b>")) == '<span class="q"><b>x</b></span>'


def test_every_piece_escapes_every_argument() -> None:
    made = [
        p.slot(EVIL, EVIL),
        p.live(EVIL, EVIL, EVIL),
        p.quiet(EVIL),
        p.head(EVIL, EVIL, EVIL),
        p.card(EVIL, EVIL, right=EVIL, css=EVIL),
        p.phase(4, EVIL, EVIL),
        p.coin(EVIL, EVIL),
        p.link(EVIL, EVIL, key=EVIL, title=EVIL),
        p.meter(0.5, EVIL, EVIL),
        p.rail(0.5, EVIL, EVIL),
        p.definitions([(EVIL, EVIL)]),
        p.empty(EVIL),
        p.join([EVIL, EVIL]),
        p.status_strip(
            mode=EVIL,
            tooltip=EVIL,
            note=EVIL,
            state=EVIL,
            tone=EVIL,
            age=EVIL,
            day=EVIL,
            clock=EVIL,
        ),
    ]
    for markup in made:
        assert isinstance(markup, Markup)
        assert "<script" not in markup


def test_a_hostile_name_from_the_venue_stays_text(feed: Feed) -> None:
    assert HOSTILE in feed.symbols
    now = feed.board()
    market = board.market(now, feed.events(0), PARAMS)
    coin = drawn.coin(feed.coin(HOSTILE), PARAMS, as_of=feed.now_ms(), interval_ms=feed.step_ms)
    at = coin_face.slots(coin)
    pages = [
        market_face.page(market),
        coin_face.head(coin, market, at["coin.state"]),
        *at.values(),
    ]
    for page in pages:
        assert "<img" not in page
    assert "&lt;img" in pages[0] + pages[1]


def test_sparks_meters_and_rails_stay_in_their_box() -> None:
    assert "polyline" not in p.spark([1.0])
    assert "nan" not in p.spark([1.0, 1.0, 1.0])
    for share in (-1.0, 0.0, 0.4, 1.0, 7.0):
        width = float(re.search(r"width:([\d.]+)%", p.meter(share, "x"))[1])
        assert 0 <= width <= 100
        left = float(re.search(r"left:([\d.]+)%", p.rail(share, "x"))[1])
        assert 0 <= left <= 100


def test_no_page_sleeps_reruns_or_reads_a_clock() -> None:
    folder = Path(p.__file__).parent
    for path in [*folder.glob("*.py"), *folder.glob("faces/*.py")]:
        source = path.read_text(encoding="utf-8")
        for word in (
            "sleep(",
            "st.rerun",
            "run_every",
            "utcnow",
            ".now()",
            "import requests",
            "sqlalchemy",
        ):
            assert word not in source, f"{path.name}: {word}"


def test_no_file_of_the_page_folder_shadows_a_package() -> None:
    folder = Path(p.__file__).parent
    names = {path.stem for path in folder.iterdir()}
    assert not names & {"engine", "data", "live", "app", "research", "tests"} - {"live"}
    assert not (folder / "live.py").exists()  # live.js is no module
    assert not (folder / "live").exists()
