"""The shell: navigation, the status strip that never leaves the screen, the tokens."""

from pathlib import Path

import streamlit as st

from app.api import assets
from app.api.queries import Pages, Status, current
from app.dashboard import format as f
from app.dashboard import parts as p
from app.dashboard import words
from app.dashboard.chart import overlay
from app.dashboard.faces import coin, market

_HERE = Path(__file__).resolve().parent
_STALE_S = 3.0
_STATES = {
    "starting": ("Market starting", "warn"),
    "live": ("Market running", "up"),
    "degraded": ("Market degraded", "warn"),
    "stopped": ("Market stopped", "down"),
}


def strip_texts(status: Status) -> dict[str, str]:
    """Return the words of the strip; the socket patches them once a second."""
    state, tone = _STATES.get(status.state, (status.state, "warn"))
    age = status.data_age_s
    old = age is not None and age > _STALE_S
    return {
        "status.note": status.note,
        "status.state": state,
        "status.tone": "warn" if old and tone == "up" else tone,
        "status.age": ""
        if age is None
        else f"Data {f.number(age, 1)} s old{': stale' if old else ''}",
        "status.day": f.day(status.now) if status.now else "",
        "status.clock": f.clock_s(status.now) if status.now else f.DASH,
    }


PAGES = Pages(
    price=f.price,
    status=strip_texts,
    faces={"market": market.slots, "coin": coin.slots},
    chart=overlay,
)


@st.cache_data
def _style(font: str) -> str:
    face = (
        "@font-face { font-family: Inter; font-weight: 100 900; font-display: swap; "
        f'src: url("{font}") format("woff2"); }}'
    )
    return f"<style>{face}\n{(_HERE / 'style.css').read_text(encoding='utf-8')}</style>"


def run() -> None:
    """Draw the frame and the page that was asked for."""
    queries = current()
    queries.pages = PAGES
    status = queries.status()
    title = "LIVE · Zion Core" if status.mode == "LIVE" else "Zion Core"
    st.set_page_config(page_title=title, page_icon=str(_HERE / "mark.svg"), layout="wide")
    st.logo(str(_HERE / "logo.svg"), size="large", icon_image=str(_HERE / "mark.svg"))
    st.html(_style(assets.url("inter.woff2")))
    told = strip_texts(status)
    st.html(
        str(
            p.status_strip(
                mode=status.mode,
                tooltip=words.MODES.get(status.mode, ""),
                note=told["status.note"],
                state=told["status.state"],
                tone=told["status.tone"],
                age=told["status.age"],
                day=told["status.day"],
                clock=told["status.clock"],
            )
        )
    )
    coin_page = st.Page(
        coin.show, title="Coin", icon=":material/candlestick_chart:", url_path="coin"
    )
    st.session_state["coin_page"] = coin_page
    market_page = st.Page(
        market.show, title="Market", icon=":material/view_kanban:", url_path="market", default=True
    )
    st.navigation({"Now": [market_page, coin_page]}, expanded=True).run()


if __name__ == "__main__":
    run()
