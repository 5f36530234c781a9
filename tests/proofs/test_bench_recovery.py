"""The benchmark of recovery runs, small, and says what it is to say."""

import pytest

from app.proofs.bench_recovery import recovery

pytestmark = pytest.mark.slow


def test_everybody_is_reconciled_within_the_venue_s_limits_and_nothing_is_refused() -> None:
    figures = {figure.name.strip(): figure for figure in recovery(5)}
    memory, exposed, everybody, streams, requests, refused = figures.values()
    assert memory.name == "5 users, 2 positions, 12 open intents: states read"
    assert 0 < exposed.value <= everybody.value <= streams.value < float("inf")
    assert requests.value > 0
    assert refused.value == 0
