"""`zion data`: the lake."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.lake import lake_folder
from app.cli.options import AsciiOption, JsonOption, LakeOption
from app.cli.out import Out, number, percent, utc

app = typer.Typer(
    no_args_is_help=True,
    help="The lake: history of bars and funding as Parquet files.",
    epilog="Example:  zion data synth --lake var/lake        then  zion data list --lake var/lake",
)

VenueOption = Annotated[str | None, typer.Option("--venue", help="Only this venue.")]
IntervalOption = Annotated[str | None, typer.Option("--interval", help="Only this interval.")]


@app.command("list", epilog="Example:  zion data list --lake var/lake --interval 15m")
def list_(
    *,
    lake: LakeOption = None,
    venue: VenueOption = None,
    interval: IntervalOption = None,
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Say what the lake holds."""
    from data.catalog import Lake

    out = Out(json=json, ascii=ascii)
    lake = lake_folder(lake)
    store = Lake(lake)
    names = store.series(venue, interval)
    if not names:
        store.resolve_venue(venue)
    known = [store.info(*name) for name in names]
    out.document({"lake": str(lake), "series": known})
    rows = []
    for kind in sorted({(s.venue, s.interval) for s in known}):
        group = [s for s in known if (s.venue, s.interval) == kind]
        firsts = [s.first_ts for s in group if s.first_ts is not None]
        lasts = [s.last_ts for s in group if s.last_ts is not None]
        span = [utc(min(firsts)), utc(max(lasts))] if firsts and lasts else ["—", "—"]
        size = sum(s.size_bytes for s in group) / 1e6
        bars = number(sum(s.bars for s in group))
        rows.append([*kind, number(len(group)), bars, *span, f"{number(size, 1)} MB"])
    out.table(["venue", "interval", "coins", "bars", "from", "to", "size"], rows, left=2)
    for broken in (s for s in known if s.problem):
        out.broken(broken.problem)
    out.say(f"{number(len(known))} series.   Next: zion data check --lake {lake}")


@app.command(epilog="Example:  zion data check --lake var/lake --venue bybit --interval 15m")
def check(
    *,
    lake: LakeOption = None,
    venue: VenueOption = None,
    interval: IntervalOption = None,
    strict: Annotated[bool, typer.Option(help="Exit 3 on any finding.")] = False,
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Look for gaps, duplicates, disorder, impossible bars; report, never repair.

    Exit 3 when a file cannot be read.
    """
    from data.catalog import Lake
    from data.quality import check_funding, check_series

    out = Out(json=json, ascii=ascii)
    lake = lake_folder(lake)
    store = Lake(lake)
    if not store.series(venue, interval):
        store.resolve_venue(venue)
    found = []
    with out.stage("check") as stage:
        names = store.series(venue, interval)
        with out.progress("check", len(names)) as advance:
            for name in names:
                found.append(check_series(store, *name))
                advance()
        stage.note = f"{number(sum(q.bars for q in found))} bars, {len(found)} series"
    funding = check_funding(store, venue)
    unclean = [q for q in found if not q.clean]
    unreadable = [q for q in (*found, *funding) if q.problem]
    clean = len(found) - len(unclean)
    out.document({"lake": str(lake), "clean": clean, "series": found, "funding": funding})
    head = ["series", "bars", "gaps", "missing", "twice", "late", "grid", "NaN", "wrong", "jumps"]
    rows = [
        [
            f"{q.venue} {q.interval} {q.symbol}",
            *map(
                number,
                (q.bars, len(q.gaps), q.missing, q.duplicates, q.disordered, q.misaligned),
            ),
            *map(number, (q.nans, q.impossible, len(q.jumps))),
        ]
        for q in unclean
        if not q.problem
    ]
    if rows:
        out.table(head, rows)
    jumps = [(abs(j.fraction), q, j) for q in found for j in q.jumps]
    if jumps:
        size, series, jump = max(jumps, key=lambda item: item[0])
        where = "at a gap" if jump.seam else "without a gap"
        out.look(f"largest jump {percent(size)} {where}: {series.symbol} {utc(jump.ts)}")
    doubled = [q for q in funding if q.doubled]
    if doubled:
        told = f"{number(sum(q.doubled for q in doubled))} rows in {len(doubled)} series"
        other = number(sum(q.conflicting for q in doubled))
        out.look(f"funding told twice: {told} ({other} at another rate); each is charged once")
    for broken in unreadable:
        out.broken(broken.problem)
    out.say(f"{clean} of {len(found)} series are clean; nothing was changed.")
    if unreadable or (strict and (unclean or not all(q.clean for q in funding))):
        raise typer.Exit(3)


@app.command(epilog="Example:  zion data synth --lake var/lake --symbols 48 --days 90 --seed 7")
def synth(
    *,
    lake: LakeOption = None,
    symbols: Annotated[int, typer.Option(help="Number of coins.")] = 48,
    days: Annotated[float, typer.Option(min=0, max=100_000, help="Days of history.")] = 90,
    interval: Annotated[str, typer.Option(help="Main interval.")] = "15m",
    also: Annotated[str, typer.Option(help="More intervals, as in 5m,1h.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Seed: the same gives the same bytes.")] = 7,
    venue: Annotated[str, typer.Option(help="Venue name in the lake.")] = "synthetic",
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Make a seeded synthetic market with planted episodes, and their truth beside it."""
    import numpy as np

    from data.catalog import Lake
    from data.synth import make_market, write_market

    out = Out(json=json, ascii=ascii)
    lake = lake_folder(lake)
    out.title(f"zion data synth · {symbols} coins · {interval} · {days:g} days · seed {seed}")
    more = [name.strip() for name in also.split(",") if name.strip()]
    with out.stage("make") as stage:
        rng = np.random.default_rng(seed)
        market = make_market(rng, symbols=symbols, days=days, interval=interval, also=more)
        stage.note = f"{len(market.truth)} episodes, {len(market.gaps)} gaps"
    with out.stage("write") as stage:
        bars = write_market(Lake(lake, durable=False), market, venue)
        stage.note = f"{number(bars)} bars"
    kinds = {str(k): int(n) for k, n in market.truth["kind"].value_counts(sort=True).iter_rows()}
    document: dict[str, Any] = {"lake": str(lake), "venue": venue, "interval": interval}
    document |= {"bars": bars, "symbols": symbols, "seed": seed, "episodes": kinds}
    out.document(document)
    out.say("planted: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()))
    out.say(f"Next: zion backtest --lake {lake} --venue {venue} --interval {interval}")


@app.command(epilog="Example:  zion data compact --lake var/lake --venue bybit")
def compact(
    *,
    lake: LakeOption = None,
    venue: VenueOption = None,
    interval: IntervalOption = None,
    codec: Annotated[str, typer.Option(help="none (fastest to read), lz4 or zstd.")] = "none",
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Fold the monthly tails of each series into its one file.

    A series that cannot be read is left as it is, and named.
    """
    from data.catalog import Lake
    from data.files import WriteError
    from data.readable import Skip, nothing_readable
    from engine.errors import DataError

    out = Out(json=json, ascii=ascii)
    lake = lake_folder(lake)
    store = Lake(lake, codec=codec)
    folded: dict[str, int] = {}
    skips: list[Skip] = []
    with out.stage("compact") as stage:
        names = store.series(venue, interval)
        with out.progress("compact", len(names)) as advance:
            for name in names:
                try:
                    files = store.compact(*name)
                except WriteError:
                    raise
                except DataError as error:
                    skips.append(Skip.of(" ".join(name), error))
                    files = 0
                folded |= {" ".join(name): files} if files else {}
                advance()
        if len(skips) == len(names):
            raise nothing_readable(f"of {lake}", skips)
        stage.note = f"{sum(folded.values())} files into {len(folded)}"
    out.skipped(skips)
    out.document({"lake": str(lake), "folded": folded, "skipped": skips})
    out.say(f"{len(folded)} of {len(names)} series folded.")


@app.command(epilog='Example:  zion data sql "SELECT symbol, count(*) FROM bars GROUP BY symbol"')
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over bars, funding, events, trades.")],
    *,
    lake: LakeOption = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of runs: events, trades, fills.")
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="Rows shown; --json has all.")] = 40,
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Ask the lake with DuckDB; nothing can be changed by it."""
    from data.catalog import Lake
    from data.db import query_pl

    out = Out(json=json, ascii=ascii)
    lake = lake_folder(lake)
    store = Lake(lake)
    if runs is None:
        store.series()  # an empty lake has nothing to ask
    frame = query_pl(query, lake=store, runs=runs)
    out.document({"columns": frame.columns, "rows": frame.rows()} if json else None)
    if not json:
        out.table(frame.columns, ([_cell(x) for x in row] for row in frame.head(rows).iter_rows()))
        rest = len(frame) - rows
        out.say(f"{number(len(frame))} rows" + (f", {number(rest)} not shown" if rest > 0 else ""))


@app.command(
    "import", epilog="Example:  zion data import BTCUSDT-15m-2026-01.csv --venue binanceusdm"
)
def import_(
    path: Annotated[Path, typer.Argument(help="A CSV or Parquet file, or a folder of them.")],
    *,
    venue: Annotated[str, typer.Option(help="Venue the bars belong to.")],
    lake: LakeOption = None,
    interval: Annotated[str | None, typer.Option(help="Where the name does not say it.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Where the name does not say it.")] = None,
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Bring other files into the lake; rows that cannot be real are rejected and counted."""
    from data.catalog import Lake
    from data.importer import import_path

    out = Out(json=json, ascii=ascii)
    lake = lake_folder(lake)
    with out.stage("import") as stage:
        done = list(import_path(Lake(lake), path, venue=venue, interval=interval, symbol=symbol))
        stage.note = f"{number(sum(d.accepted for d in done))} bars from {len(done)} files"
    out.document({"lake": str(lake), "files": done})
    for each in done:
        name = f"{each.venue} {each.interval} {each.symbol}"
        if each.problem:
            out.broken(f"{each.path}: {each.problem}")
            continue
        lost = ", ".join(f"{number(n)} {why}" for why, n in each.rejected.items())
        late = f"; {number(each.disordered)} rows were out of order" if each.disordered else ""
        kept = f"{number(each.accepted)} of {number(each.rows)} rows"
        out.say(f"{name}: {kept}; rejected: {lost or 'none'}{late}")
    if any(d.problem for d in done):
        raise typer.Exit(3)


@app.command(epilog="Example:  zion data download --symbols top:50 --interval 15m --days 365")
def download(
    *,
    lake: LakeOption = None,
    venue: Annotated[str, typer.Option(help="bybit is the one there is.")] = "bybit",
    symbols: Annotated[str, typer.Option(help="all, top:N or A,B.")] = "top:50",
    interval: Annotated[str, typer.Option(help="Intervals, as in 15m,1h.")] = "15m",
    days: Annotated[float, typer.Option(max=100_000, help="Days back from now.")] = 365,
    funding: Annotated[bool, typer.Option(help="Funding rates too.")] = True,
    endpoint: Annotated[str, typer.Option(help="Base address of the REST API.")] = "",
    rate: Annotated[float, typer.Option(help="Requests a second, at most.")] = 40.0,
    tries: Annotated[int, typer.Option(help="Tries of a request that finds Bybit in trouble.")] = 6,
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Fetch Bybit's public history: only what the lake lacks; run it again to go on. No keys."""
    from dataclasses import asdict
    from time import perf_counter, sleep

    from data.bybit_public import MAINNET, PublicClient, TokenBucket
    from data.catalog import Lake
    from data.download import Downloader, Patience, Progress
    from engine.errors import ZionError

    intervals = _download_asked(venue, symbols, interval, days=days, rate=rate, endpoint=endpoint)
    out = Out(json=json, ascii=ascii)
    lake = lake_folder(lake)
    bucket = TokenBucket(now=perf_counter, sleep=sleep, rate_per_s=rate, burst=rate)
    client = PublicClient(endpoint or MAINNET, bucket=bucket)
    patience = Patience(attempts=max(tries, 1))
    loader = Downloader(Lake(lake), client, sleep=sleep, patience=patience)
    out.title(f"zion data download · {client.endpoint} · {symbols} · {interval} · {days:g} days")
    done: list[tuple[str, Progress]] = []
    try:
        with out.stage("download") as stage:
            _download(out, loader, done, symbols, intervals, days=days, funding=funding)
            stage.note = f"{number(sum(p.bars for _, p in done))} bars, {client.requests} requests"
    except KeyboardInterrupt:
        kept = number(sum(p.bars for _, p in done))
        raise ZionError(
            "stopped", why=f"{kept} bars and more are in the lake", hint="the same command goes on"
        ) from None
    finally:
        client.close()
    told = [{"interval": name, **asdict(progress)} for name, progress in done]
    out.document({"lake": str(lake), "requests": client.requests, "series": told})
    _tell_download(out, done)
    out.say(f"{number(sum(p.bars for _, p in done))} bars.   Next: zion data check --lake {lake}")
    if any(p.trouble for _, p in done):
        raise typer.Exit(1)


def _download_asked(
    venue: str, symbols: str, interval: str, *, days: float, rate: float, endpoint: str
) -> dict[str, int]:
    """Return the intervals asked for; refuse a bad wish before the venue hears of it."""
    from data.download import check_spec
    from engine.bars import interval_ms
    from engine.errors import UsageError

    if venue != "bybit":
        raise UsageError(f"no downloader for {venue!r}", hint="--venue bybit, or zion data import")
    if not 0 < rate <= 100 or not days > 0:  # noqa: PLR2004 - 120 a second is Bybit's limit per IP
        raise UsageError("--rate must be above 0 and at most 100, --days above 0")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"--endpoint {endpoint!r} is no address", hint="https://api.bybit.com")
    check_spec(symbols)
    intervals = {n.strip(): interval_ms(n.strip()) for n in interval.split(",") if n.strip()}
    if not intervals:
        raise UsageError(f"--interval {interval!r} names no interval", hint="as in 15m,1h")
    return intervals


def _download(
    out: Out,
    loader: Any,
    done: list[tuple[str, Any]],
    symbols: str,
    intervals: Mapping[str, int],
    *,
    days: float,
    funding: bool,
) -> None:
    end_ms = loader.now_ms()
    start_ms = end_ms - int(days * 86_400_000)
    chosen = loader.choose(symbols)
    total = len(chosen) * sum((end_ms - start_ms) // length for length in intervals.values())
    with out.progress("bars", total) as advance:
        for symbol, launch_ms in chosen.items():
            first_ms = max(start_ms, launch_ms)
            for name in intervals:
                progress = loader.fetch(symbol, name, first_ms, end_ms, tell=advance)
                done.append((name, progress))
            if funding and not done[-1][1].trouble:
                loader.fetch_funding(symbol, first_ms, end_ms, done[-1][1])


def _tell_download(out: Out, done: list[tuple[str, Any]]) -> None:
    for name, progress in done:
        if progress.trouble:
            out.broken(f"{progress.symbol} {name}: {progress.trouble}")
        elif progress.missing or progress.rejected:
            out.look(
                f"{progress.symbol} {name}: {number(progress.missing)} bars that Bybit does not "
                f"have, {number(progress.rejected)} rows rejected"
            )


def _cell(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else "—" if value is None else str(value)
