"""Metrics: figures of progress, one family a name, asked on the loop, never in the way of it."""

import asyncio
import urllib.request

import pytest

from app.api.metrics import Sample, families, market_figures, serve_metrics
from engine.errors import DataError
from live.market.views import HealthView


def _read(port: int) -> str:
    address = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(address, timeout=20) as answer:
        return answer.read().decode()


async def test_a_scrape_is_answered_from_the_loop():
    asked = []

    def figures():
        asked.append(asyncio.get_running_loop())
        yield Sample("zion_engines", "Engines by state.", 2, labels={"state": "live"})
        yield Sample("zion_engines", "Engines by state.", 1, labels={"state": "paused"})
        yield Sample("zion_commits", "Decisions stored.", 17, "counter")

    server = serve_metrics(figures, host="127.0.0.1", port=0)
    try:
        text = await asyncio.to_thread(_read, server.port)
    finally:
        await asyncio.to_thread(server.close)
    assert 'zion_engines{state="live"} 2.0' in text
    assert 'zion_engines{state="paused"} 1.0' in text
    assert "zion_commits_total 17.0" in text
    assert "zion_loop_answers 1.0" in text
    assert asked == [asyncio.get_running_loop()]


async def test_a_taken_port_is_one_clear_error():
    server = serve_metrics(lambda: (), host="127.0.0.1", port=0)
    try:
        with pytest.raises(DataError, match=f"127.0.0.1:{server.port} for metrics"):
            serve_metrics(lambda: (), host="127.0.0.1", port=server.port)
    finally:
        await asyncio.to_thread(server.close)


def test_figures_of_the_market_layer_name_nothing_but_numbers():
    health = HealthView(
        status="live", since=0, symbols=3, connections=1, reconnects=2, repaired_bars=4,
        late_bars=0, duplicates=0, conflicts=0, gaps=0, given_up=0, refused=0, malformed=0,
        slow_readers=0, last_message_age_s=0.5, notes=("a secret word",),
    )  # fmt: skip
    found = {f.name: f for f in families(market_figures(health))}
    assert found["zion_market_coins"].samples[0].value == 3
    assert found["zion_market_reconnects"].samples[0].value == 2
    assert not any("secret" in str(family) for family in found.values())
