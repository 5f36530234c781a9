"""Ids that follow from what they name: the same wish has the same id in every process.

A trade's id is a hash of user and signal; an order's link id is the trade's id with leg and
attempt, so it can be read back without a table: `z` leg attempt `-` trade, 30 characters.
"""

from base64 import b32encode
from hashlib import blake2b

import msgspec

LINK_MAX = 36
ATTEMPT_MAX = 36**3 - 1
_LETTERS = {"entry": "e", "tp1": "t", "close": "c", "guard": "g"}
_LEGS = {letter: leg for leg, letter in _LETTERS.items()}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TRADE_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz234567")
_TRADE_LENGTH = 24  # 120 bits: no two of a billion trades share one
_LINK_LENGTH = 6 + _TRADE_LENGTH


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link id of ours, read back."""

    trade_id: str
    leg: str
    attempt: int


def trade_id_of(user_id: str, signal_id: str) -> str:
    """Return the id of the one trade a user makes of a signal."""
    # A length before the user keeps ("a", "bc") and ("ab", "c") apart.
    named = f"{len(user_id)}:{user_id}:{signal_id}".encode()
    digest = blake2b(named, digest_size=15, person=b"zion-trade").digest()
    return b32encode(digest).decode().lower()


def link_id_of(trade_id: str, leg: str, attempt: int) -> str:
    """Return the orderLinkId of an attempt at a leg (attempts count from 1)."""
    number = min(max(attempt, 0), ATTEMPT_MAX)
    digits = ""
    for _ in range(3):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return f"z{_LETTERS[leg]}{digits}-{trade_id}"


def parse_link(link_id: str) -> Link | None:
    """Read a link id back; None: it is none of ours."""
    if len(link_id) != _LINK_LENGTH or link_id[0] != "z" or link_id[5] != "-":
        return None
    leg, digits, trade_id = _LEGS.get(link_id[1]), link_id[2:5], link_id[6:]
    if leg is None or not set(digits) <= set(_DIGITS) or not set(trade_id) <= _TRADE_CHARS:
        return None
    return Link(trade_id=trade_id, leg=leg, attempt=int(digits, 36))
