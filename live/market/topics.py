"""The topics of the bus that users hear, and the value of each. Names change nowhere else.

Values are frozen; `at_ms` of a message is the venue's clock when it was told, and whoever takes it
from an inbox stamps it anew.
"""

SIGNAL = "signal"  # engine.account.signal.Signal: a breakout that is fresh
SIGNAL_END = "signal_end"  # engine.account.signal.SignalEnd: a setup is over
REGIME = "regime"  # engine.account.messages.RegimeSeen: the regime changed
QUOTE = (
    "quote"  # engine.account.messages.QuoteSeen: held and armed coins, at most one a second each
)
CONTRACT = "contract"  # engine.account.messages.ContractSeen: rules changed, or were read first
BARS = "bars"  # live.market.views.BarsClosed
