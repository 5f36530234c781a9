"""`zion sim`: a Bybit V5 market on loopback, replayed from a lake."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import LakeOption, OneVenueOption, instant_ms

if TYPE_CHECKING:
    from engine.venue.replay import Replay
    from live.venues.bybit.simserver import SimServer

app = typer.Typer(add_completion=False)


@app.command(
    help="Serve a whole Bybit V5 (linear) on loopback, replayed from a lake: market, orders,"
    " accounts, streams. Prints one JSON line when ready.",
    epilog="Example:  zion sim --lake var/lake --interval 15m --speed 900",
)
def sim(
    lake: LakeOption = None,
    venue: OneVenueOption = None,
    interval: Annotated[str, typer.Option(help="Candles to replay.")] = "15m",
    symbols: Annotated[str | None, typer.Option(help="A,B,C; all by default.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    speed: Annotated[str, typer.Option(help="Replay seconds per second, or max, or hold.")] = "60",
    start: Annotated[
        str | None, typer.Option(help="ISO time (UTC) where the clock begins.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of ids, keys, books and drawn faults.")] = 0,
    faults: Annotated[Path | None, typer.Option(help="JSON list of faults to arm.")] = None,
    updates: Annotated[int, typer.Option(min=0, max=60, help="Pushes of an open candle.")] = 4,
    now: Annotated[
        bool, typer.Option("--now", help="Shift the history so that its clock shows today's time.")
    ] = False,
    limits: Annotated[
        bool, typer.Option("--limits/--no-limits", help="The venue's own request limits.")
    ] = True,
) -> None:
    """Run the venue simulator until interrupted."""
    import asyncio

    from app.cli.out import Out
    from data.replay import read_replay, shifted
    from engine.errors import DataError, UsageError
    from live.clock import SystemClock
    from live.settings import load_settings
    from live.venues.bybit.faults import draw_faults, read_faults
    from live.venues.bybit.simlimits import NO_LIMITS
    from live.venues.bybit.simserver import SimServer, parse_speed

    path = lake or load_settings().settings.lake_path
    if path is None:
        raise UsageError(
            "no lake to replay", hint="--lake PATH, or ZION_LAKE, or `zion data synth`"
        )
    pace = parse_speed(speed)
    names = [s.strip() for s in symbols.split(",") if s.strip()] if symbols else None
    if names == []:
        raise UsageError(f"--symbols {symbols!r} names no symbol", hint="BTCUSDT,ETHUSDT")
    replay = read_replay(path, interval, venue=venue, symbols=names)
    Out().skipped(replay.skips)
    begin = _begin(start, replay) if start else replay.default_start()
    clock = SystemClock()
    if now:
        replay, begin = shifted(replay, begin, clock.now_ms())
    server = SimServer(
        replay,
        interval,
        clock,
        speed=pace,
        start_ms=begin,
        updates=updates,
        seed=seed,
        rules=None if limits else NO_LIMITS,
    )
    if faults is not None:
        try:
            armed = read_faults(faults.read_bytes())
        except OSError as error:
            raise DataError(f"{faults} cannot be read", why=error.strerror or "") from error
        except DataError as error:
            raise DataError(f"{faults}: {error.what}", why=error.why, hint=error.hint) from error
        server.add_faults(draw_faults(armed, replay, seed))
    asyncio.run(_serve(server, port, replay))


async def _serve(server: "SimServer", port: int, replay: "Replay") -> None:
    import asyncio
    import contextlib
    import json
    import signal
    from dataclasses import asdict

    addresses = await server.start(port)
    typer.echo(json.dumps({**addresses, "skipped": [asdict(s) for s in replay.skips]}))
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, over.set)
    serving = asyncio.create_task(server.wait())
    stopping = asyncio.create_task(over.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await server.stop()
    await asyncio.gather(serving, stopping, return_exceptions=True)


def _begin(start: str, replay: "Replay") -> int:
    """Return the instant to begin at; one outside of the history would serve nothing for ever."""
    from app.cli.out import utc
    from engine.errors import UsageError

    first, last = replay.first, replay.last + replay.interval_ms
    begin = instant_ms(start, "--start")
    if not first <= begin <= last:
        raise UsageError(
            f"--start {start} lies outside of the history", hint=f"from {utc(first)} to {utc(last)}"
        )
    return begin
