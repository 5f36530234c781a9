"""One feed, far enough along that every phase has coins; made once, since the detector must run."""

import pytest

from tests.app.feed import Feed

HOSTILE = '<img src=x onerror="alert(1)">USDT'


def ready_feed() -> Feed:
    feed = Feed(symbols=16, days=24, names={"ADAUSDT": HOSTILE})
    feed.advance(1700)
    return feed


@pytest.fixture(scope="session")
def feed() -> Feed:
    """A market that stands still: tests must not advance it."""
    return ready_feed()
