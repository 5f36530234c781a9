"""The checks of `zion doctor`: each says what it found, and what to do where that is not good."""

import asyncio
import errno
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from engine.errors import DataError
from live.clock import Clock, Late, within
from live.settings import Settings

Sign = Literal["ok", "look", "broken", "skipped"]
DISK_LOW_BYTES, DISK_EMPTY_BYTES = 2_000_000_000, 200_000_000
CLOCK_LOOK_MS, CLOCK_BROKEN_MS = 1_000, 4_000  # a signed request may be 5 s old
VENUE_WAIT_S = 15.0
STALE_H = 24.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor. No secret, no address of a person: safe to paste into an issue."""

    name: str
    sign: Sign
    words: str
    hint: str = ""


async def checks(
    settings: Settings, sources: Mapping[str, str], clock: Clock
) -> AsyncIterator[Check]:
    """Yield the checks in the order of need."""
    yield settings_check(sources)
    yield await database_check(settings, clock)
    yield keys_check(settings)
    yield lake_check(settings, clock.now_ms())
    yield await venue_check(settings, clock)
    yield disk_check(settings.home)
    yield port_check("pages", settings.host, settings.port, "ZION_PORT")
    if settings.metrics_port is None:
        yield Check("metrics", "skipped", "no ZION_METRICS_PORT")
    else:
        host, port = settings.metrics_host, settings.metrics_port
        yield port_check("metrics", host, port, "ZION_METRICS_PORT")


def settings_check(sources: Mapping[str, str]) -> Check:
    """Say how many settings were given, and where: never their values."""
    given = sorted({s for s in sources.values() if s != "default"})
    count = sum(s != "default" for s in sources.values())
    where = f", from {', '.join(given)}" if given else ""
    return Check("settings", "ok", f"{len(sources)} read, {count} given{where}")


async def database_check(settings: Settings, clock: Clock) -> Check:
    """Say which schema the database has, and whether it takes a write."""
    from data.records.opening import database_state, shown
    from live.compose import open_store

    address = settings.database_address
    try:
        state = await database_state(address)
        if state.standing == "empty":
            words = f"{shown(address)}: empty"
            return Check("database", "look", words, "zion db upgrade, or zion serve makes it")
        began_s = clock.monotonic_s()
        store = await open_store(settings, clock=clock)
        killed = await store.platform_kill()
        await store.close()
    except DataError as error:
        return Check("database", "broken", f"{error.what} {error.why}".strip(), error.hint)
    took_ms = (clock.monotonic_s() - began_s) * 1000
    if not isinstance(killed, tuple):
        return Check("database", "broken", killed.reason, "is it running, is it full?")
    if killed[0]:
        return Check(
            "database", "look", "the whole platform is killed",
            "zion live resume --reason WORDS lifts it",
        )  # fmt: skip
    return Check("database", "ok", f"{shown(address)}, answers in {took_ms:.0f} ms")


def keys_check(settings: Settings) -> Check:
    """Say whether the keys file can be used, where the mode needs one."""
    from live.venues.keys import KeyFile

    if settings.venue in {"sim", "paper"}:
        return Check("keys file", "skipped", f"not needed in {settings.venue.upper()}")
    if settings.keys_file is None:
        hint = "ZION_KEYS_FILE names a file, mode 0600"
        return Check("keys file", "broken", f"{settings.venue.upper()} needs keys", hint)
    wrong = KeyFile(settings.keys_file).wrong()
    if wrong:
        return Check("keys file", "broken", wrong, f"chmod 600 {settings.keys_file}")
    return Check("keys file", "ok", "readable by its owner alone")


def lake_check(settings: Settings, now_ms: int) -> Check:
    """Say how much history there is and how old the newest of it is."""
    from data.catalog import Lake

    path = settings.lake_path
    make = "zion data synth, or zion data download"
    if path is None:
        return Check("lake", "skipped", "none: serving needs none, a backtest does", make)
    lake = Lake(path)
    try:
        found = [(v, i, len(lake.symbols(v, i))) for v in lake.venues() for i in lake.intervals(v)]
        if not any(count for _, _, count in found):
            return Check("lake", "look", f"{path} holds no series", make)
        venue, interval, count = max(found, key=lambda f: f[2])
        info = lake.info(venue, interval, lake.symbols(venue, interval)[0])
    except (DataError, OSError) as error:
        return Check("lake", "broken", str(error), "zion data check names what cannot be read")
    words = f"{count} coins of {venue} · {interval}"
    if info.problem:
        return Check("lake", "look", f"{words}; {info.problem}", "zion data check")
    age_h = (now_ms - (info.last_ts or 0)) / 3_600_000
    old = (
        f", newest {age_h / 24:.0f} days old" if age_h > STALE_H else f", newest {age_h:.0f} h old"
    )
    return Check("lake", "ok", words + old)


async def venue_check(settings: Settings, clock: Clock) -> Check:
    """Say whether the venue answers, and how far its clock is from ours."""
    from live.venues.bybit.public_rest import BybitPublicRest
    from live.venues.port import Ok

    rest = BybitPublicRest(settings.rest_url, clock)
    host = urlsplit(settings.rest_url).netloc
    hint = "zion sim, or ZION_REST_URL and ZION_WS_URL of another venue"
    try:
        sent_ms = clock.now_ms()
        answer = await within(clock, rest.server_time(), VENUE_WAIT_S)
        took_ms = clock.now_ms() - sent_ms
    except Late:
        return Check("exchange", "broken", f"{host} is silent for {VENUE_WAIT_S:.0f} s", hint)
    finally:
        await rest.close()
    if not isinstance(answer, Ok):
        return Check("exchange", "broken", f"{host} does not answer", hint)
    off_ms = answer.value - (sent_ms + took_ms // 2)
    words = f"{host} answers in {took_ms} ms, its clock off by {off_ms:+,} ms"
    sync = "the machine's clock should be synchronised (NTP)"
    if settings.venue == "sim":
        return Check("exchange", "ok", words)  # a replay has a clock of its own
    if abs(off_ms) > CLOCK_BROKEN_MS:
        return Check("exchange", "broken", words, sync)
    if abs(off_ms) > CLOCK_LOOK_MS:
        return Check("exchange", "look", words, sync)
    return Check("exchange", "ok", words)


def disk_check(home: Path) -> Check:
    """Say how much room there is where everything is written."""
    folder = home
    while not folder.exists():
        folder = folder.absolute().parent
    if not os.access(folder, os.W_OK):
        return Check("disk", "broken", f"{home} cannot be written to", "another ZION_HOME")
    free = shutil.disk_usage(folder).free
    words = f"{free / 1e9:.1f} GB free at {home}"
    if free < DISK_EMPTY_BYTES:
        return Check("disk", "broken", words, "make room, or another ZION_HOME")
    if free < DISK_LOW_BYTES:
        return Check("disk", "look", words, "make room soon")
    return Check("disk", "ok", words)


def port_check(name: str, host: str, port: int, setting: str) -> Check:
    """Say whether a port may be listened on."""
    if port == 0:
        return Check(name, "ok", "any free port")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                words = f"port {port} is taken; by a running service?"
                return Check(name, "look", words, f"another {setting}")
            words = f"{host}:{port}: {error.strerror}"
            return Check(name, "broken", words, f"another {setting}, or another host")
    return Check(name, "ok", f"port {port} is free")


def collect(settings: Settings, sources: Mapping[str, str], clock: Clock) -> list[Check]:
    """Run every check."""

    async def run() -> list[Check]:
        return [check async for check in checks(settings, sources, clock)]

    return asyncio.run(run())
