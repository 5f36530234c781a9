"""Seeded mutations of valid messages: of their bytes, and of what they say."""

from typing import Any

import msgspec
import numpy as np

_DRAWS = 65_536

NUMBERS = (
    b"0", b"-0", b"-1", b"1e999", b"-1e999", b"1e-999", b"1e308", b"0.1e-400", b"9" * 400, b"0x10",
    b"1_000", b"01", b".5", b"5.", b"1e", b"NaN", b"Infinity", b"-Infinity", b"+1", b"2147483648",
    b"9223372036854775808", b"18446744073709551616", b"0." + b"0" * 300 + b"1",
)  # fmt: skip
TEXTS = (
    "", " ", "\t", "null", "None", "NaN", "Infinity", "-Infinity", "sNaN", "1e999999999", "-0",
    "0x1f", "1,5", "1 000", "\u0663", "\uff11\uff12", "é", "\u0000", "\ud7ff", "\uffff", "💥" * 30,
    "a" * 5_000,
    "'; DROP TABLE orders; --", "../../etc/passwd", "%2525", "{}", "[]", "true", "True", "TRUE",
    "Buy", "buy", "linear", "BTCUSDT", "GTC", "1e-9", "1" * 100, "0." + "1" * 200, "-5", "10000001",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1e308, 1e-308, 0.1, -0.0,
    [], {}, [[]], [{}], [None], {"": None}, [0] * 200, {"a": {"b": {"c": [1, {"d": "e"}]}}},
)  # fmt: skip
WORDS = (b"null", b"true", b"false", b"{}", b"[]", b'""', b"{", b"}", b"[", b"]", b'"', b",", b":")
DEPTHS = (10, 200, 2_000, 100_000)


class Dice:
    """Whole numbers from a numpy Generator, drawn by the block: one at a time is slow."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: list[int] = []

    def below(self, n: int) -> int:
        """Return a number in [0, n)."""
        if not self._left:
            self._left = self._rng.integers(0, 1 << 62, _DRAWS).tolist()
        return self._left.pop() % n

    def of(self, items: Any) -> Any:
        """Return one of them."""
        return items[self.below(len(items))]


# ---------------------------------------------------------------------------- what is said


def strange(dice: Dice) -> Any:
    """Return a value that may not belong there."""
    kind = dice.below(5)
    if kind < 2:
        return dice.of(TEXTS)
    if kind == 2:
        return str(dice.below(10**9) / 10 ** dice.below(9))
    if kind == 3 and dice.below(50) == 0:
        deep: Any = 1
        for _ in range(dice.below(300)):
            deep = [deep] if dice.below(2) else {"k": deep}
        return deep
    return dice.of(VALUES)


def change(dice: Dice, value: Any) -> Any:
    """Return the value with one thing in it changed, at a place drawn."""
    if isinstance(value, dict) and value:
        out = dict(value)
        key = dice.of(list(out))
        kind = dice.below(8)
        if kind == 0:
            del out[key]
        elif kind == 1:
            out[dice.of(TEXTS)] = strange(dice)
        elif kind == 2:
            out[key.upper()] = out.pop(key)
        elif kind <= 4 or not isinstance(out[key], dict | list):
            out[key] = strange(dice)
        else:
            out[key] = change(dice, out[key])
        return out
    if isinstance(value, list) and value:
        rows = list(value)
        at = dice.below(len(rows))
        kind = dice.below(6)
        if kind == 0:
            del rows[at]
        elif kind == 1:
            rows *= 1 + dice.below(30)
        elif kind == 2:
            rows[at] = strange(dice)
        else:
            rows[at] = change(dice, rows[at])
        return rows
    return strange(dice)


# ---------------------------------------------------------------------------- its bytes


def tear(dice: Dice, raw: bytes, other: bytes) -> bytes:
    """Return the bytes with one injury."""
    at = dice.below(len(raw) + 1)
    to = min(len(raw), at + dice.below(12))
    kind = dice.below(12)
    if kind <= 1:
        return raw[at:] if kind else raw[:at]
    if kind == 2:
        return raw[:at] + other[dice.below(len(other) + 1) :]
    if kind == 3:
        return _digits(dice, raw)
    if kind == 4:
        return _twice(dice, raw)
    if kind == 5 and dice.below(300) == 0:
        return _large(dice, raw)
    return raw[:at] + _piece(dice, kind, raw[at:to]) + raw[to:]


def _piece(dice: Dice, kind: int, old: bytes) -> bytes:
    """Return what stands in a place instead of the old bytes; nothing, for most kinds left."""
    if kind == 6:
        return bytes((dice.below(256),)) + old[1:]
    if kind == 7:
        return bytes(dice.below(256) for _ in range(dice.below(20)))
    if kind == 8:
        return dice.of(NUMBERS)
    if kind == 9:
        return dice.of(WORDS)
    if kind == 10:
        return old * (2 + dice.below(40))
    return dice.of(TEXTS).encode("utf-8", "surrogatepass") if kind == 11 else b""


def _digits(dice: Dice, raw: bytes) -> bytes:
    """Put a strange number where a number stands."""
    spots = [i for i, c in enumerate(raw) if 48 <= c <= 57]
    if not spots:
        return raw
    at = dice.of(spots)
    end = at
    while end < len(raw) and raw[end] in b"0123456789.":
        end += 1
    return raw[:at] + dice.of(NUMBERS) + raw[end:]


def _twice(dice: Dice, raw: bytes) -> bytes:
    """Give a key a second time, with another value."""
    head, brace, rest = raw.partition(b"{")
    key, colon, _ = rest.partition(b":")
    if not brace or not colon:
        return raw
    return head + b"{" + key + b":" + dice.of(NUMBERS[:3] + WORDS[:6]) + b"," + rest


def _large(dice: Dice, raw: bytes) -> bytes:
    kind = dice.below(4)
    if kind == 0:
        return dice.of((b"[", b'{"a":', b'[{"k":')) * dice.of(DEPTHS)
    if kind == 1:
        return raw[:-1] + b',"pad":"' + b"x" * (1 << 20) + b'"}'
    if kind == 2:
        return b"\x00\xff" * (1 << 19)
    depth = dice.of(DEPTHS[:3])
    return b'{"args":' + b"[" * depth + b"]" * depth + b"}"


def mutate(dice: Dice, samples: list[bytes]) -> bytes:
    """Return a mutated sample: torn, or telling something strange, or both."""
    raw = dice.of(samples)
    kind = dice.below(10)
    if kind < 9:
        try:
            value = msgspec.json.decode(raw)
            for _ in range(dice.of((1, 1, 1, 2, 3))):
                value = change(dice, value)
            raw = msgspec.json.encode(value)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            kind = 9
    if kind >= 8:
        for _ in range(1 + dice.below(2)):
            raw = tear(dice, raw, dice.of(samples))
    return raw
