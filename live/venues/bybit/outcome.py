"""The venue's word as an outcome of the port: taken, certainly not taken, or not known."""

from live.venues.bybit.gate import Answer, Held, Lost
from live.venues.trading import Accepted, PlaceOutcome, Refused, Unknown

# The request asked for what is so already.
NOT_MODIFIED = frozenset({110025, 110026, 110027, 110043})
STOP_NOT_MODIFIED = 34040  # also "a required parameter is missing": the position tells
DUPLICATE_LINK_ID = 110072
ORDER_GONE = frozenset({110001, 110008, 110010})
