"""The demo: which story it shows, and one run of it from the outside."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from app.proofs.demo import Plan, event_line, free_socket, make_plan, resumed
from app.proofs.episode import LEAD_BARS, TAIL_BARS, Episode, pick, stories
from data.profiles import load_profile
from data.synth import make_market
from engine.errors import DataError
from engine.messages import EventKind as K
from engine.pipeline.phase import EVENT
from engine.venue.replay import Replay
from tests.app.feed import Feed

STEP = 900_000
DAY = 86_400_000


def events(*kinds: K) -> np.ndarray:
    made = np.zeros(len(kinds), EVENT)
    made["kind"] = kinds
    made["t"] = STEP * np.arange(1, len(kinds) + 1)
    return made


STRAIGHT = (K.DUMP, K.STAB, K.ARMED, K.BREAKOUT, K.COOLED)


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        (STRAIGHT, 1),
        ((K.DUMP, K.STAB, K.ARMED, K.REJECTED, K.LEVEL, K.BREAKOUT, K.COOLED), 1),
        ((K.DUMP, K.STAB, K.ARMED, K.BREAKOUT, K.FAILED), 0),
        ((K.DUMP, K.STAB, K.INVAL, K.STAB, K.ARMED, K.BREAKOUT, K.COOLED), 0),
        ((*STRAIGHT, *STRAIGHT), 2),
        ((), 0),
    ],
)
def test_a_story_goes_straight_from_dump_to_a_breakout_that_held(kinds: tuple, found: int) -> None:
    assert len(list(stories("AUSDT", events(*kinds)))) == found


def episode(name: str, dump: int, bars: int, drop: float = 0.1) -> Episode:
    at = dump * STEP
    return Episode(name, at, at + STEP, at + 2 * STEP, at + bars * STEP, drop)


def test_the_story_picked_has_a_past_and_an_end() -> None:
    early, late = episode("E", 30, 100), episode("L", 900, 100)
    fit = episode("F", 300, 400)
    chosen = pick(
        [early, late, fit],
        interval_ms=STEP,
        first_ms=100 * STEP,
        last_ms=(900 + 100 + TAIL_BARS - 1) * STEP,
    )
    assert chosen == fit
    assert pick([early], interval_ms=STEP, first_ms=30 * STEP, last_ms=10_000 * STEP) is None


def test_a_deep_short_story_is_shown_before_a_long_flat_one() -> None:
    deep, flat = episode("A", 300, 300, 0.3), episode("B", 300, 280, 0.07)
    assert pick([flat, deep], interval_ms=STEP, first_ms=0, last_ms=9_999 * STEP) == deep


def replay() -> Replay:
    market = make_market(np.random.default_rng(7), symbols=16, days=45)
    return Replay(STEP, market.bars["15m"])


def test_the_plan_begins_shortly_before_its_dump_and_fits_two_minutes() -> None:
    plan = make_plan(replay(), load_profile("default", "15m"), None)
    assert plan.episode is not None
    assert plan.start_ms == plan.episode.dump_t - LEAD_BARS * STEP
    shown_s = (plan.episode.breakout_t - plan.start_ms) / 1000 / plan.speed
    assert shown_s <= 120
    assert make_plan(replay(), load_profile("default", "15m"), 900.0).speed == 900.0


def test_a_run_goes_on_inside_its_story_and_else_begins_anew() -> None:
    e = episode("A", 300, 200)
    plan = Plan(
        replay=SimpleNamespace(interval_ms=STEP),
        profile=None,
        episode=e,
        start_ms=280 * STEP,
        speed=1,
    )
    assert resumed(plan, 400 * STEP).start_ms == 400 * STEP
    for minute in (None, 100 * STEP, 280 * STEP, (500 + TAIL_BARS) * STEP):
        assert resumed(plan, minute) == plan


def test_a_taken_port_leads_to_the_next_free_one() -> None:
    with free_socket("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with free_socket("127.0.0.1", port) as second:
            assert second.getsockname()[1] > port


def test_an_address_that_is_not_ours_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="are all taken"):
        free_socket("203.0.113.1", 8000)


def test_the_terminal_tells_every_event(feed: Feed) -> None:
    for event in feed.log:
        line = event_line(event, feed.ticks[event.symbol])
        assert re.match(r"[ \d]\d \w{3} \d\d:\d\d  \S+ .*[1-6-] \w", line), line


def _get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own address
        return answer.status, answer.read()


@pytest.mark.slow
def test_the_demo_runs_stops_cleanly_and_takes_its_story_up_again(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from app.cli.main import main; main()",
        "demo",
        "--no-browser",
    ]
    command += ["--port", str(port), "--speed", "6000"]

    def run(until: str) -> tuple[int, str]:
        env = {"ZION_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
        seen = ""
        with subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
        ) as process:
            for line in process.stdout:
                seen += line
                if until in line:
                    status, _ = _get(f"http://127.0.0.1:{port}/health")
                    assert status == 200
                    _, board = _get(f"http://127.0.0.1:{port}/api/v1/market/board")
                    assert b'"eligible":48' in board
                    process.send_signal(signal.SIGINT)
                    break
            seen += process.stdout.read()
        return process.returncode, seen

    code, first = run(" 4 Base ")
    assert code == 0, first
    assert "invented" in first
    assert "Stopped cleanly" in first
    assert "Traceback" not in first
    code, second = run("Watch")
    assert code == 0, second
    assert "where the last run stopped" in second
    assert "Traceback" not in second
