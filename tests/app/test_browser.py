"""The pages in a real browser: what a person sees, and what the machine must not do behind it."""

import asyncio
import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from app.api.main import create_app
from tests.app.conftest import HOSTILE, ready_feed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REQUIRED = os.environ.get("ZION_REQUIRE_BROWSER") == "1"
if CHROMIUM is None and REQUIRED:
    pytest.fail("ZION_REQUIRE_BROWSER=1, but there is no chromium", pytrace=False)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.xdist_group("browser"),  # one server, one browser
]
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 60_000
# Streamlit's client asks for these once when a page is opened by its own path; harmless.
PROBES = ("_stcore/health", "_stcore/host-config")
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}


class Site:
    """The application on a free port, its feed, and a way to move the market from a test."""

    def __init__(self) -> None:
        self.feed = ready_feed()
        self.app = create_app(self.feed, note=lambda: "Replay waits")
        self.feed.hub = self.app.state.hub
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, log_config=None, access_log=False, ws="websockets-sansio")
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._up = threading.Event()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def main() -> None:
            serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
            while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.02)
            self._up.set()
            await serving

        self._loop.run_until_complete(main())
        self._loop.close()

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(30)

    def do(self, act):
        """Run something on the server's loop, as the market layer would."""

        async def there():
            return act()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(60)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(15)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    site.start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        _CONTEXTS.clear()
        browser.close()


class Tab:
    """A page that remembers what it should not have done."""

    def __init__(self, context, base: str) -> None:
        self.page = context.new_page()
        self.base = base
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.probes = 0
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._request)

    def _console(self, message) -> None:
        if message.type != "error":
            return
        if any(probe in message.location.get("url", "") for probe in PROBES):
            self.probes += 1
            return
        self.errors.append(f"{message.text} {message.location}")

    def _request(self, request) -> None:
        own = (self.base, self.base.replace("http", "ws", 1), "data:", "blob:")
        if not request.url.startswith(own):
            self.outside.append(request.url)

    def open(self, path: str, ready: str):
        self.page.goto(self.base + path)
        self.page.wait_for_selector(ready, timeout=WAIT_MS)
        self.page.wait_for_function("globalThis.zion && zion.stats.opened > 0", timeout=WAIT_MS)
        return self.page


_CONTEXTS: dict[tuple[str, str], object] = {}


@contextlib.contextmanager
def tab(browser, site: Site, *, size: str = "desktop", theme: str = "dark") -> Iterator[Tab]:
    """Open a tab; tabs of one size and theme share a cache, as a person's do."""
    width, height = SIZES[size]
    context = _CONTEXTS.get((size, theme))
    if context is None:
        context = _CONTEXTS[size, theme] = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )
    opened = Tab(context, site.url)
    try:
        yield opened
    finally:
        opened.page.close()


READY = {"/": ".board .coin[data-go]", "/coin?symbol=BTCUSDT": ".zchart[data-ready]"}


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("size", list(SIZES))
@pytest.mark.parametrize("path", list(READY))
def test_a_page_is_whole(browser, site: Site, path: str, size: str, theme: str) -> None:
    with tab(browser, site, size=size, theme=theme) as t:
        page = t.open(path, READY[path])
        assert page.inner_text(".mode") == "SIM"
        assert page.get_attribute(".strip", "role") == "status"
        assert page.locator("h1").count() == 1
        sentence = page.inner_text(".answer").strip()
        assert sentence.endswith(".") or "ATR" in sentence, sentence
        wide = page.evaluate(
            """[document.documentElement, document.querySelector('[data-testid="stMain"]')]
               .map((e) => [e.scrollWidth, e.clientWidth])"""
        )
        assert all(inner == outer for inner, outer in wide), wide
        scheme = page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme")
        assert scheme == theme
        assert page.evaluate("document.fonts.check('13px Inter')")
        page.screenshot()  # paints everything once: canvas errors show
        assert t.errors == []
        assert t.outside == []


def test_a_price_is_patched_in_place_without_a_rerun(browser, site: Site) -> None:
    with tab(browser, site) as t:
        page = t.open("/coin?symbol=BTCUSDT", ".zchart[data-ready]")
        page.evaluate("document.querySelector('h1').dataset.kept = '1'")
        scripts = page.evaluate("performance.now()")
        before = page.inner_text(".px")
        price = float(before.replace(",", "")) * 1.01
        site.do(lambda: site.feed.tick("BTCUSDT", price))
        page.wait_for_function(
            "(old) => document.querySelector('.px').textContent !== old",
            arg=before,
            timeout=WAIT_MS,
        )
        shown = float(page.inner_text(".px").replace(",", ""))
        assert shown == pytest.approx(price, rel=1e-3)
        assert page.evaluate("document.querySelector('h1').dataset.kept") == "1"
        assert page.locator('[data-testid="stStatusWidget"]').count() == 0
        assert scripts > 0
        assert t.errors == []


def test_a_close_moves_board_and_chart(browser, site: Site) -> None:
    with tab(browser, site) as t:
        page = t.open("/coin?symbol=BTCUSDT", ".zchart[data-ready]")
        last = "document.querySelector('.zchart').zion.view.rows().at(-1)[0]"
        site.do(lambda: site.feed.advance(5))
        newest = (site.feed.minute - site.feed.step_ms) // 1000
        page.wait_for_function(f"(newest) => {last} === newest", arg=newest, timeout=WAIT_MS)
        assert page.evaluate("zion.stats.gaps") == 0
        assert t.errors == []
    with tab(browser, site) as t:
        page = t.open("/", READY["/"])
        page.evaluate("document.querySelector('.who').dataset.kept = '1'")
        before = page.inner_text('[data-slot="market.head"]')
        site.do(lambda: site.feed.advance(2))
        page.wait_for_function(
            "(old) => document.querySelector('[data-slot=\"market.head\"]').innerText !== old",
            arg=before,
            timeout=WAIT_MS,
        )
        assert page.evaluate("document.querySelector('.who').dataset.kept") == "1"
        assert t.errors == []


def test_a_coin_on_the_board_opens_its_chart_without_a_reload(browser, site: Site) -> None:
    with tab(browser, site) as t:
        page = t.open("/", READY["/"])
        page.evaluate("globalThis.stayed = true")
        card = page.locator(".board .coin[data-go]").first
        symbol = card.get_attribute("data-go")
        card.click()
        page.wait_for_selector(".zchart[data-ready] canvas", timeout=WAIT_MS)
        assert symbol in page.inner_text("h1")
        assert page.evaluate("globalThis.stayed") is True
        assert page.evaluate("zion.stats.opened") == 1
        drawn = page.evaluate(
            """() => {
              const c = document.querySelector('.zchart canvas');
              return new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size;
            }"""
        )
        assert drawn > 10
        assert t.errors == []


def test_enter_opens_a_coin_too(browser, site: Site) -> None:
    with tab(browser, site) as t:
        page = t.open("/", READY["/"])
        page.locator(".board .coin[data-go]").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".zchart[data-ready]", timeout=WAIT_MS)
        assert t.errors == []


def test_a_hostile_name_renders_as_text(browser, site: Site) -> None:
    from urllib.parse import quote

    with tab(browser, site) as t:
        page = t.open(f"/coin?symbol={quote(HOSTILE)}", ".zchart[data-ready]")
        assert HOSTILE in page.inner_text("h1")
        assert page.locator(".zbox img").count() == 0
        assert t.errors == []


def test_a_coin_that_is_not_watched_says_so(browser, site: Site) -> None:
    with tab(browser, site) as t:
        page = t.open("/coin?symbol=NOPEUSDT", ".empty")
        assert "NOPEUSDT is not watched." in page.inner_text(".answer")
        assert t.errors == []
