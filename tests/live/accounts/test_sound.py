"""What is no number is never decided upon, nor written where it could not be read again."""

import math

import pytest

from engine.account import messages as m
from engine.account.signal import Quote, Signal
from live.accounts.sound import is_finite, sound

NAN = math.nan


def _quote(bid: float = 1.0) -> Quote:
    return Quote(ts=1, bid=bid, ask=1.0, mark=1.0, spread_bps=1.0, sweep_bps=1.0)


def _bar(close: float = 1.0, quote: Quote | None = None) -> m.BarClosed:
    return m.BarClosed(
        at_ms=1, symbol="AAAUSDT", interval_ms=1, ts=0, open=1.0, high=1.0, low=1.0, close=close,
        quote=quote,
    )  # fmt: skip


def test_a_quote_that_is_none_is_left_out() -> None:
    assert sound(m.QuoteSeen(at_ms=1, symbol="AAAUSDT", quote=_quote(NAN))) is None
    kept = sound(_bar(quote=_quote(math.inf)))
    assert isinstance(kept, m.BarClosed)
    assert kept.quote is None


def test_what_is_sound_stays_as_it_is() -> None:
    bar = _bar(quote=_quote())
    assert sound(bar) == bar
    tick = m.Tick(at_ms=1)
    assert sound(tick) is tick


def test_a_bar_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="not every number"):
        sound(_bar(close=NAN))


def test_lists_are_looked_into() -> None:
    signal = Signal(
        signal_id="s", symbol="AAAUSDT", profile="p", interval_ms=1, t=1, close=1.0, level=1.0,
        levels=(1.0, NAN), floor=1.0, batr=1.0, atr=1.0,
    )  # fmt: skip
    assert not is_finite(signal)
