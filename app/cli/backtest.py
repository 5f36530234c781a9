"""`zion backtest`: events, trades, money and pictures over a lake."""

from pathlib import Path
from shlex import quote
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsciiOption, JsonOption, LakeOption, OneVenueOption, instant_ms
from engine.errors import DataError, UsageError

if TYPE_CHECKING:  # research is imported when the command runs: `zion --help` stays instant
    from app.cli.out import Out
    from engine.stats.metric import Metric
    from research.backtest import BacktestResult

app = typer.Typer(add_completion=False)

EXAMPLE = "Example:  zion backtest --lake var/lake --interval 15m --symbols top:20"
_WIDTH = 13
_HARD = "\u00a0"  # a space that no line breaks at
_SKIPS_SHOWN = 6
_PARTS = {
    "dump": "Dump",
    "base": "Base",
    "armed": "Armed",
    "breakout": "Breakout",
    "ordered": "Ordered",
    "entered": "Entered",
    "tp1": "TP1",
}


@app.command(epilog=EXAMPLE)
def backtest(
    lake: LakeOption = None,
    interval: Annotated[str, typer.Option(help="Length of a bar: 5m, 15m, 1h ...")] = "15m",
    venue: OneVenueOption = None,
    symbols: Annotated[str, typer.Option(help="A,B | all | top:N (by turnover)")] = "all",
    start: Annotated[
        str | None, typer.Option(help="First day or UTC time of signals, as 2025-01-31.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="Day or UTC time before which bars are read.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Name or TOML file of a profile.")] = "default",
    capital: Annotated[float, typer.Option(help="USDT to start with.")] = 10_000.0,
    risk: Annotated[float, typer.Option(help="Risk per trade, percent of equity.")] = 0.5,
    positions: Annotated[int, typer.Option(help="Positions open at once, at most.")] = 6,
    turnover_min: Annotated[
        float, typer.Option(help="Least 24 h turnover of a coin at its signal, USDT.")
    ] = 5_000_000.0,
    intrabar: Annotated[
        str | None,
        typer.Option(help="Stop and target in one bar: pessimistic | optimistic | finer"),
    ] = None,
    null_runs: Annotated[int, typer.Option(help="Runs with random entries to compare with.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of random entries and intervals.")] = 7,
    portfolio: Annotated[
        bool, typer.Option(help="Replay one user: the code that trades live, at the simulator.")
    ] = False,
    user_settings: Annotated[
        str | None,
        typer.Option(
            "--settings", help="With --portfolio: standard | careful | a TOML or JSON file"
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option(help="With --portfolio: hold the fast kernel beside it, fill by fill.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run's files; else <ZION_HOME>/runs/<time>.")
    ] = None,
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Run the detector and one account over history; print the result, file it, draw it."""
    from app.cli.out import Out, utc
    from live.clock import SystemClock
    from live.settings import load_settings
    from research.backtest import backtest as run

    settings = load_settings(lake=lake).settings
    if settings.lake_path is None:
        raise DataError(
            "no lake",
            why=f"none named and {settings.home}/lake does not exist",
            hint="zion data synth makes one, or name another with --lake",
        )
    screen = Out(json=json, ascii=ascii)
    options = {
        "venue": venue,
        "interval": interval,
        "symbols": symbols,
        "start": start,
        "end": end,
        "profile": profile,
        "capital": capital,
        "risk": risk,
        "positions": positions,
        "turnover-min": turnover_min,
        "intrabar": intrabar,
        "null-runs": null_runs,
        "seed": seed,
    }
    folder = out or settings.home / "runs" / utc(SystemClock().now_ms()).replace(" ", "T").replace(
        ":", "-"
    )
    if out is None:
        folder = _free(folder)
    if portfolio:
        from app.cli.portfolio import run_portfolio

        _only_fast(options)
        chosen = user_settings or "standard"
        screen.title(
            f"zion backtest --portfolio · SIM · {interval} · settings {chosen} · {symbols} · "
            f"{settings.lake_path}\n"
        )
        run_portfolio(
            screen,
            settings.lake_path,
            chosen,
            folder,
            with_kernel=compare,
            seed=seed,
            venue=venue,
            interval=interval,
            symbols=symbols,
            capital=capital,
            start_ms=None if start is None else instant_ms(start, "--start"),
            end_ms=None if end is None else instant_ms(end, "--end"),
        )
        return
    if compare or user_settings is not None:
        raise UsageError("--compare and --settings go with --portfolio")
    screen.title(
        f"zion backtest · SIM · {interval} · profile {profile} · {symbols} · {settings.lake_path}\n"
    )
    result = run(
        settings.lake_path,
        venue,
        interval,
        symbols,
        profile,
        capital,
        start_ms=None if start is None else instant_ms(start, "--start"),
        end_ms=None if end is None else instant_ms(end, "--end"),
        intrabar=intrabar,
        settings=_settings(capital, risk, positions, turnover_min, null_runs, seed),
        runs=folder.parent,
        run_name=folder.name,
        command=_command(settings.lake_path, options),
        progress=lambda name, seconds, note: _stage(screen, name, seconds, note),
    )
    screen.document(result.document())
    if not json:
        _show(screen, result, _command(settings.lake_path, options))


def _only_fast(options: dict[str, Any]) -> None:
    """Refuse what stands in a user's settings, or has no meaning beside them."""
    for name in ("profile", "risk", "positions", "turnover-min", "intrabar", "null-runs"):
        if options[name] != _DEFAULTS.get(name):
            raise UsageError(
                f"--{name} does not go with --portfolio", hint="write it into the --settings"
            )


def _settings(
    capital: float, risk: float, positions: int, turnover: float, null_runs: int, seed: int
) -> Any:
    from research.settings import BacktestSettings

    for name, value, low, high in (
        ("capital", capital, 1e-6, 1e15),
        ("risk", risk, 0.001, 10.0),
        ("positions", positions, 1, 10_000),
        ("turnover-min", turnover, 0.0, 1e15),
        ("null-runs", null_runs, 20, 10_000),
        ("seed", seed, 0, 2**62),
    ):
        if not low <= value <= high:
            raise UsageError(
                f"--{name} {value:g} is out of range", hint=f"from {low:g} to {high:g}"
            )
    base = BacktestSettings()
    return base._replace(
        sizing=base.sizing._replace(risk_fraction=risk / 100.0),
        positions_max=positions,
        turnover_min_usdt=turnover,
        null_runs=null_runs,
        seed=seed,
    )


def _free(folder: Path) -> Path:
    """Return the folder, or the first of -2, -3 ... that does not exist: two runs in one minute."""
    number = 2
    free = folder
    while free.exists():
        free = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return free


_DEFAULTS = {
    "symbols": "all",
    "profile": "default",
    "capital": 10_000.0,
    "risk": 0.5,
    "positions": 6,
    "turnover-min": 5_000_000.0,
    "null-runs": 200,
    "seed": 7,
}


def _command(lake: Path, options: dict[str, Any]) -> str:
    words = ["zion backtest", f"--lake {quote(str(lake))}"]
    for name, value in options.items():
        if value is not None and value != _DEFAULTS.get(name):
            text = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(f"--{name} {quote(text)}")
    return " ".join(words)


def _stage(screen: "Out", name: str, seconds: float, note: str) -> None:
    what, _, more = note.partition("|")
    screen.ok(f"{name:<9} {what:<24} {seconds:6.1f} s   {more}".rstrip())


def _show(screen: "Out", result: "BacktestResult", command: str) -> None:
    from app.cli.out import utc
    from research.report.words import verdict

    period = f"{utc(result.first_ts)[:10]} → {utc(result.last_ts)[:10]}"
    screen.say(
        f"\nprofile {result.profile.id} · {result.venue} · {len(result.symbols)} coins · {period}\n"
    )
    counts = result.counts
    for words, name in (
        ("impossible bars left out", "unsound_bars"),
        ("rows given twice, the later one counts", "repeated_rows"),
        ("rows out of order, put in their place", "disordered_rows"),
    ):
        if counts[name]:
            screen.say(f"  ! {counts[name]:,} {words}   (zion data check names the series)")
    for skip in result.skips[:_SKIPS_SHOWN]:
        screen.say(f"  ! skipped {skip.symbol}: {skip.reason}")
    if len(result.skips) > _SKIPS_SHOWN:
        screen.say(f"  ! and {len(result.skips) - _SKIPS_SHOWN} more skipped, all in the report")
    funnel = "   ".join(f"{_PARTS[name]}{_HARD}{count:,}" for name, count in result.funnel.items())
    _wrapped(screen, "Funnel    ", funnel)
    if result.refusals:
        reasons = " · ".join(f"{r} {n:,}".replace(" ", _HARD) for r, n in _reasons(result))
        _wrapped(screen, "Refused   ", f"{sum(result.refusals.values()):,}: {reasons}")
    screen.say()
    _figures(screen, result)
    screen.say()
    said = verdict(result.metrics, len(result.trades), result.known)
    for text in filter(None, (said.text, said.note)):
        for line in wrap(text, 80):
            screen.say(line)
    screen.say(f"report  {result.files.get('report', '')}")
    screen.say(f"again   {command}")


def _wrapped(screen: "Out", name: str, text: str) -> None:
    indent = " " * (2 + len(name))
    for line in wrap(text, 80, initial_indent=f"  {name}", subsequent_indent=indent):
        screen.say(line.replace(_HARD, " "))


def _reasons(result: "BacktestResult") -> list[tuple[str, int]]:
    return [(reason.replace("_", " "), count) for reason, count in result.refusals.items()]


def _figures(screen: "Out", result: "BacktestResult") -> None:
    from app.cli.out import number, percent, signed
    from engine.stats.metric import TRADES_MIN

    m, null, n = result.metrics, result.null, len(result.trades)

    def row(name: str, value: str, interval: str = "", random: str = "") -> None:
        screen.say(f"  {name:<20}{value:>{_WIDTH}}   {interval:>20}   {random:>12}".rstrip())

    def span(metric: "Metric", show: Any, digits: int) -> str:
        low, high = show(metric.low, digits), show(metric.high, digits)
        return "" if metric.low != metric.low else f"[{low}, {high}]"

    if n < TRADES_MIN:
        screen.say(f"  Too few trades to say ({n} of {TRADES_MIN}).")
        row("net", f"{signed(m['net_usdt'].value)} USDT")
        return
    row("", "result", "95 % interval", "random")
    edge = m["expectancy_r"]
    row(
        "expectancy",
        f"{signed(edge.value)} R",
        span(edge, signed, 2),
        f"{signed(float(null.expectancy.mean()))} R",
    )
    excess = m["excess_r"]
    row("over random entries", f"{signed(excess.value)} R", span(excess, signed, 2))
    row("trades", f"{n:,}")
    row(
        "win rate",
        percent(m["win_rate"].value),
        span(m["win_rate"], percent, 1),
        percent(null.win_rate),
    )
    factor = m["profit_factor"]
    row(
        "profit factor",
        number(factor.value, 2),
        span(factor, number, 2),
        number(null.profit_factor, 2),
    )
    row("net", f"{signed(m['net_usdt'].value)} USDT", span(m["net_usdt"], signed, 0))
    row(
        "max drawdown",
        percent(m["max_drawdown"].value),
        span(m["max_drawdown"], percent, 1),
        f"{m['drawdown_days'].value:.0f} days",
    )
    row(
        "Sharpe",
        number(m["sharpe"].value, 2),
        span(m["sharpe"], number, 2),
    )
    # with nothing else on record it is deflated by nothing, and says so
    tried = f"the best of {result.trials:,} chance trials"
    screen.say(
        f"  {'deflated Sharpe':<20}{number(m['deflated_sharpe'].value, 2):>{_WIDTH}}   against "
        + (tried if result.trials > 1 else "0: no other trial is on record")
    )
    costs = ", ".join(
        f"{k} {number(m[f'{k}_r'].value, 3)}" for k in ("fees", "slippage", "funding")
    )
    screen.say(f"  {'cost per trade':<20}{number(m['cost_r'].value, 3) + ' R':>{_WIDTH}}   {costs}")
    c = result.counts
    screen.say(
        f"  {'ambiguous bars':<20}{c['ambiguous_bars']:>{_WIDTH}}   stop and TP1 in one bar"
        + (f", {c['resolved_bars']} decided by finer bars" if c["resolved_bars"] else "")
    )
    if c["funding_unknown"]:
        screen.say(
            f"  {'funding unknown':<20}{c['funding_unknown']:>{_WIDTH}}   trades; expectancy "
            f"{signed(result.funding_sensitivity(), 3)} R at 1 bp / 8 h"
        )
