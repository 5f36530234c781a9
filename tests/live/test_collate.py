"""The law of the collator: whatever the order of arrival, the detector sees the same."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from live.market.collate import Batch, Collator, Values, Verdict

STEP = 900_000
START = 100 * STEP


def bar(symbol: int, minute: int) -> Values:
    x = float(symbol * 1000 + minute + 1)
    return (x, x + 1.0, x - 0.5, x + 0.25, 10.0, 100.0)


def fresh(symbols: int) -> Collator:
    collator = Collator(STEP)
    for s in range(symbols):
        collator.row(f"S{s}")
    collator.begin(START)
    for s in range(symbols):
        collator.activate(f"S{s}", START - STEP)
    return collator


def flat(batches: Iterable[Batch]) -> list[tuple[int, int, tuple[float, ...]]]:
    return [
        (b.ts, int(row), tuple(values))
        for b in batches
        for row, values in zip(b.rows, b.bars.tolist(), strict=True)
    ]


def naive(there: np.ndarray) -> list[tuple[int, int, tuple[float, ...]]]:
    """All bars there are, by minute, then by symbol: what must come out."""
    symbols, minutes = there.shape
    return [
        (START + m * STEP, s, bar(s, m))
        for m in range(minutes)
        for s in range(symbols)
        if there[s, m]
    ]


def take_all(collator: Collator) -> list[Batch]:
    out = []
    while (batch := collator.take()) is not None:
        out.append(batch)
    return out


def deliver(  # noqa: C901 - one scenario, told in order
    there: np.ndarray, rng: np.random.Generator, *, lost: float, twice: float, jitter: float
) -> tuple[list[Batch], Collator]:
    """Play a market: reordered, thinned, doubled; history answers for the rest."""
    symbols, minutes = there.shape
    collator = fresh(symbols)
    out: list[Batch] = []

    def history(row: int, through: int) -> None:
        for m in range(minutes):
            ts = START + m * STEP
            if collator.minute <= ts <= through and there[row, m]:
                collator.offer(row, ts, bar(row, m))
        collator.known(row, through)

    # The first bar after a hole comes in time: of a symbol that had no bars nothing is expected,
    # so nothing could be missed (its detector starts anew there in any case).
    sent = []
    for s in range(symbols):
        for m in np.flatnonzero(there[s]):
            after_hole = m > 0 and not there[s, m - 1]
            if after_hole or rng.random() >= lost:
                sent.append((m + (0.0 if after_hole else rng.uniform(0, jitter)), s, int(m)))
    sent += [(when + rng.uniform(0, 3), s, m) for when, s, m in sent if rng.random() < twice]
    newest = START
    for _, s, m in sorted(sent):
        newest = max(newest, START + m * STEP)
        collator.offer(s, START + m * STEP, bar(s, m), shard=s % 2)
        out += take_all(collator)
        while collator.suspects():
            for row in collator.suspects():
                history(row, newest - STEP)
            out += take_all(collator)
            if not [r for r in collator.suspects() if collator.minute < newest]:
                break
    end = START + (minutes - 1) * STEP
    for row in range(symbols):
        history(row, end)
    return out + take_all(collator), collator


@pytest.mark.laws
@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    symbols=st.integers(1, 6),
    minutes=st.integers(1, 25),
    lost=st.sampled_from([0.0, 0.1, 0.5]),
    twice=st.sampled_from([0.0, 0.3]),
    jitter=st.sampled_from([0.5, 2.0, 6.0]),
    holes=st.sampled_from([0.0, 0.2, 0.7]),
)
def test_any_arrival_gives_the_same_minutes(
    seed: int, symbols: int, minutes: int, lost: float, twice: float, jitter: float, holes: float
) -> None:
    rng = np.random.default_rng(seed)
    there = rng.random((symbols, minutes)) >= holes
    batches, collator = deliver(there, rng, lost=lost, twice=twice, jitter=jitter)
    assert flat(batches) == naive(there)
    assert [b.ts for b in batches] == sorted(b.ts for b in batches)
    assert collator.counters.conflicts == 0
    assert collator.ahead_total == 0


@pytest.mark.laws
@given(order=st.permutations(range(8)))
def test_shuffling_one_minute_changes_no_byte(order: list[int]) -> None:
    collator = fresh(8)
    for s in order:
        assert collator.offer(s, START, bar(s, 0)) is Verdict.STAGED
    batch = collator.take()
    assert batch is not None
    assert batch.complete
    plain = fresh(8)
    for s in range(8):
        plain.offer(s, START, bar(s, 0))
    twin = plain.take()
    assert twin is not None
    assert batch.rows.tobytes() == twin.rows.tobytes()
    assert batch.bars.tobytes() == twin.bars.tobytes()


def test_no_bar_passes_a_missing_one() -> None:
    collator = fresh(2)
    collator.offer(0, START, bar(0, 0))
    collator.offer(0, START + STEP, bar(0, 1))
    assert collator.take() is None  # symbol 1 may still come
    assert collator.missing() == [1]
    assert collator.suspects() == []  # its connection has not passed this minute
    collator.known(1, START)
    batch = collator.take()
    assert batch is not None
    assert (batch.ts, batch.rows.tolist(), batch.absent) == (START, [0], 1)


def test_a_connection_that_went_on_makes_its_silent_symbol_suspect() -> None:
    collator = fresh(2)
    collator.offer(0, START, bar(0, 0), shard=3)
    collator.rejoined([0, 1], 3)
    collator.offer(0, START + STEP, bar(0, 1), shard=3)
    assert collator.suspects() == [1]


def test_a_dormant_symbol_is_not_waited_for_until_it_speaks_again() -> None:
    collator = fresh(2)
    collator.rejoined([0, 1], 0)
    collator.offer(0, START, bar(0, 0), shard=0)
    collator.known(1, START)
    assert collator.take() is not None
    assert collator.is_dormant(1)
    for m in range(1, 4):
        collator.offer(0, START + m * STEP, bar(0, m), shard=0)
    assert [b.ts for b in take_all(collator)] == [START + STEP, START + 2 * STEP]
    assert collator.suspects() == []
    collator.offer(1, START + 3 * STEP, bar(1, 3), shard=0)
    batch = collator.take()
    assert batch is not None
    assert batch.rows.tolist() == [0, 1]


def test_overdue_hands_on_who_is_here_and_the_rest_later() -> None:
    collator = fresh(3)
    collator.offer(0, START, bar(0, 0))
    collator.offer(2, START, bar(2, 0))
    first = collator.take(overdue=True)
    assert first is not None
    assert (first.rows.tolist(), first.complete) == ([0, 2], False)
    assert collator.minute == START
    assert collator.take(overdue=True) is None
    assert collator.offer(0, START, bar(0, 0)) is Verdict.DUPLICATE
    collator.offer(1, START, bar(1, 0))
    second = collator.take()
    assert second is not None
    assert (second.rows.tolist(), second.complete, second.absent) == ([1], True, 0)
    assert collator.minute == START + STEP


def test_late_duplicate_conflicting_and_foreign_bars_are_counted() -> None:
    collator = fresh(2)
    collator.offer(0, START, bar(0, 0))
    collator.known(1, START)
    collator.take()
    assert collator.offer(0, START, bar(0, 0)) is Verdict.DUPLICATE
    assert collator.offer(1, START, bar(1, 0)) is Verdict.LATE
    collator.offer(0, START + STEP, bar(0, 1))
    assert collator.offer(0, START + STEP, bar(0, 2)) is Verdict.DUPLICATE
    assert collator.offer(0, START + STEP + 1, bar(0, 2)) is Verdict.FOREIGN
    seen = collator.counters
    assert (seen.duplicates, seen.late, seen.conflicts, seen.foreign) == (2, 1, 1, 1)


def test_symbols_come_and_go() -> None:
    collator = fresh(2)
    collator.offer(0, START, bar(0, 0))
    collator.deactivate("S1")
    batch = collator.take()
    assert batch is not None
    assert batch.rows.tolist() == [0]
    row = collator.row("NEW")
    # Its stream is faster than its warm-up: the bar waits, and is there when it joins.
    assert collator.offer(row, START + STEP, bar(9, 1)) is Verdict.AHEAD
    collator.offer(0, START + STEP, bar(0, 1))
    collator.activate("NEW", START)
    batch = collator.take()
    assert batch is not None
    assert batch.rows.tolist() == [0, row]


def test_planted_bug_sorting_by_arrival_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collator that hands rows on as they came must fail the law above."""
    import builtins

    from live.market import collate

    monkeypatch.setattr(collate, "sorted", list, raising=False)
    mutant = fresh(3)
    for s in (2, 0, 1):
        mutant.offer(s, START, bar(s, 0))
    batch = mutant.take()
    monkeypatch.setattr(collate, "sorted", builtins.sorted, raising=False)
    assert batch is not None
    assert batch.rows.tolist() != [0, 1, 2]


def test_planted_bug_not_waiting_for_the_market_is_caught() -> None:
    """Handing a minute on while a symbol is missing must not look complete."""

    class Hasty(Collator):
        def take(self, *, overdue: bool = False) -> Batch | None:
            self._waiting.clear()
            return super().take(overdue=overdue)

    rng = np.random.default_rng(5)
    there = np.ones((4, 12), bool)
    collator = Hasty(STEP)
    for s in range(4):
        collator.row(f"S{s}")
    collator.begin(START)
    for s in range(4):
        collator.activate(f"S{s}", START - STEP)
    out = []
    for m in range(12):
        for s in rng.permutation(4):
            collator.offer(int(s), START + m * STEP, bar(int(s), m))
            out += take_all(collator)
    assert flat(out) != naive(there)
