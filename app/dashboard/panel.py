"""Component 1: shows escaped markup, turns clicks into page changes, lets the socket patch it."""

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

from app.api import assets

_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".zbox");
  if (box.shown !== data.html) { box.innerHTML = data.html; box.shown = data.html; }
  let left = false;
  import(new URL(data.live, location.origin).href).then(({ live }) => {
    if (left) return;
    live.watch(box, data.topics);
    live.repaint();
    box.leave = () => live.leave(box);
  });
  const act = (event) => {
    if (event.type === "keydown" && event.key !== "Enter") return;
    const at = event.target.closest("[data-at]");
    if (at) document.dispatchEvent(new CustomEvent("zion:at", { detail: Number(at.dataset.at) }));
    const target = event.target.closest("[data-go]");
    if (!target) return;
    event.preventDefault();
    setTriggerValue("go", target.dataset.go);
  };
  box.onclick = act;
  box.onkeydown = (event) => { if (event.target.tagName !== "BUTTON") act(event); };
  return () => { left = true; box.leave?.(); };
}
"""


@st.cache_resource
def _component():
    return st.components.v2.component(
        "zion_panel", html='<div class="zbox"></div>', js=_JS, isolate_styles=False
    )


def panel(markup: Markup, key: str, topics: Sequence[str] = ()) -> None:
    """Show markup made by `parts`; every value in it is already escaped there.

    Parameters
    ----------
    markup : Markup
    key : str
        Unique on the page.
    topics : sequence of str
        What the live socket brings for it.
    """
    data = {"html": str(markup), "topics": list(topics), "live": assets.url("live.js")}
    picked = _component()(data=data, key=key, on_go_change=lambda: None)
    if picked.go:
        st.switch_page(st.session_state["coin_page"], query_params={"symbol": picked.go})
