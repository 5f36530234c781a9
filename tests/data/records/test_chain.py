"""F69: whatever is done to a stored chain, verifying it says so, and where."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.records.chain import GENESIS, canonical, link, verify_chain
from data.records.rows import AuditRow


def chain(length: int) -> list[AuditRow]:
    rows: list[AuditRow] = []
    prev = GENESIS
    for seq in range(1, length + 1):
        row = link(
            user_id="u",
            seq=seq,
            at_ms=1000 + seq,
            epoch=seq // 3,
            actor="engine",
            cause="signal",
            before_hash=f"b{seq}",
            after_hash=f"a{seq}",
            detail={"risk": Decimal("1.50"), "n": seq},
            prev_hash=prev,
        )
        rows.append(row)
        prev = row.hash
    return rows


def head(rows: list[AuditRow]) -> tuple[int, str]:
    return rows[-1].seq, rows[-1].hash


WHOLE = chain(12)
FIELDS = AuditRow.__struct_fields__


def test_a_chain_that_was_left_alone_holds_whole_and_in_parts():
    assert verify_chain(WHOLE, user_id="u", head=head(WHOLE)) is None
    for cut in range(1, 12):
        first, rest = WHOLE[:cut], WHOLE[cut:]
        assert verify_chain(first) is None
        last = first[-1]
        found = verify_chain(rest, after_seq=last.seq, after_hash=last.hash, head=head(WHOLE))
        assert found is None
    assert verify_chain([], head=(0, GENESIS)) is None


@given(st.data())
def test_any_flipped_byte_is_found_at_its_row(data):
    n = data.draw(st.integers(0, len(WHOLE) - 1))
    name = data.draw(st.sampled_from(FIELDS))
    value = getattr(WHOLE[n], name)
    if isinstance(value, int):
        changed: object = value ^ (1 << data.draw(st.integers(0, 40)))
    elif isinstance(value, bytes):
        at = data.draw(st.integers(0, len(value) - 1))
        changed = (
            value[:at] + bytes([value[at] ^ (1 << data.draw(st.integers(0, 7)))]) + value[at + 1 :]
        )
    else:
        at = data.draw(st.integers(0, len(value)))
        sign = data.draw(st.sampled_from('0123456789abcdef|,"'))
        changed = value[:at] + sign + value[at + 1 :]
        if changed == value:
            return
    broken = [*WHOLE]
    broken[n] = msgspec.structs.replace(WHOLE[n], **{name: changed})
    found = verify_chain(broken, user_id="u", head=head(WHOLE))
    assert found is not None
    assert found.seq == n + 1


@given(st.data())
def test_a_row_taken_out_swapped_doubled_or_lent_is_found(data):
    n = data.draw(st.integers(0, len(WHOLE) - 1))
    m = data.draw(st.integers(0, len(WHOLE) - 1).filter(lambda m: m != n))
    swapped = [*WHOLE]
    swapped[n], swapped[m] = swapped[m], swapped[n]
    renumbered = [
        msgspec.structs.replace(row, seq=seq)
        for seq, row in enumerate(WHOLE[:n] + WHOLE[n + 1 :], start=1)
    ]
    others = [msgspec.structs.replace(row, user_id="v") for row in WHOLE]
    for broken in (
        WHOLE[:n] + WHOLE[n + 1 :],
        swapped,
        renumbered,
        WHOLE[: n + 1] + WHOLE[n:],
        WHOLE[:n] + others[n : n + 1] + WHOLE[n + 1 :],
        others,
    ):
        assert verify_chain(broken, user_id="u", head=head(WHOLE)) is not None


def test_a_cut_tail_is_found_by_the_head_alone():
    assert verify_chain(WHOLE[:-1]) is None
    found = verify_chain(WHOLE[:-1], head=head(WHOLE))
    assert found is not None
    assert (found.seq, "head" in found.reason) == (12, True)


def test_fields_cannot_lend_each_other_their_signs():
    """What one field loses and its neighbour gains is another link."""
    row = WHOLE[0]
    moved = msgspec.structs.replace(row, actor="eng", cause="inesignal")
    assert verify_chain([moved]) is not None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": {"d": 1, "c": 2}}, b'{"a":{"c":2,"d":1},"b":1}'),
        ({"money": Decimal("1.50")}, b'{"money":"1.50"}'),
        (("x", None, True), b'["x",null,true]'),
    ],
)
def test_a_value_has_one_text(value, text):
    assert canonical(value) == text
