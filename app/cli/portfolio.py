"""`zion backtest --portfolio`: what settings would have lived, the kernel beside it."""

from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from engine.errors import PromiseBroken

if TYPE_CHECKING:
    from app.cli.out import Out
    from research.portfolio import PortfolioResult
    from research.portfolio_compare import Comparison

_SHOWN = 5


def run_portfolio(
    screen: "Out",
    lake: Path,
    settings: str,
    folder: Path,
    *,
    with_kernel: bool,
    seed: int,
    **asked: Any,
) -> None:
    """Run, file, print; exit 4 where the kernel differs without a cause."""
    from app.cli.settings_file import read_settings
    from engine.account.decide import decide
    from engine.account.state import fresh
    from research.portfolio import Brain, file_portfolio, portfolio
    from research.portfolio_compare import compare

    result = portfolio(
        lake,
        read_settings(settings),
        Brain(decide, fresh),
        seed=seed,
        progress=lambda name, seconds, note: _stage(screen, name, seconds, note),
        **asked,
    )
    found = compare(result) if with_kernel else None
    result.comparison = found.document() if found is not None else None
    file_portfolio(result, folder)
    screen.document(result.document())
    _show(screen, result, found, folder)
    if found is not None and found.unexplained:
        raise PromiseBroken(
            f"{len(found.unexplained)} differences between kernel and venue have no cause",
            why=found.unexplained[0],
        )


def _stage(screen: "Out", name: str, seconds: float, note: str) -> None:
    what, _, more = note.partition("|")
    screen.ok(f"{name:<9} {what:<24} {seconds:6.1f} s   {more}".rstrip())


def _show(
    screen: "Out", result: "PortfolioResult", found: "Comparison | None", folder: Path
) -> None:
    from app.cli.out import number, percent, signed, utc
    from engine.stats.metric import TRADES_MIN

    period = f"{utc(result.first_ts)[:10]} → {utc(result.last_ts)[:10]}"
    screen.say(
        f"\nprofile {result.profile.id} · {result.venue} · {len(result.symbols)} coins · {period}\n"
    )
    for skip in result.skips[:_SHOWN]:
        screen.say(f"  ! skipped {skip.symbol}: {skip.reason}")
    _wrapped(screen, "Funnel    ", "   ".join(f"{k} {n:,}" for k, n in result.funnel.items()))
    if result.refusals:
        reasons = " · ".join(f"{r.replace('_', ' ')} {n:,}" for r, n in result.refusals.items())
        _wrapped(screen, "Refused   ", f"{sum(result.refusals.values()):,}: {reasons}")
    screen.say()
    earned = float(result.final_equity - result.capital)
    screen.say(f"  {'equity':<20}{number(float(result.final_equity), 2):>13} USDT")
    screen.say(f"  {'net':<20}{signed(earned):>13} USDT")
    closed = len(result.trades.filter(result.trades["exit_reason"] != "open"))
    screen.say(f"  {'trades':<20}{closed:>13,}   {len(result.trades) - closed} left open")
    if closed >= TRADES_MIN:
        m = result.metrics
        screen.say(f"  {'expectancy':<20}{signed(m['expectancy_r'].value):>13} R")
        screen.say(f"  {'win rate':<20}{percent(m['win_rate'].value):>13}")
        screen.say(f"  {'max drawdown':<20}{percent(m['max_drawdown'].value):>13}")
    else:
        screen.say(f"  Too few trades to say more ({closed} of {TRADES_MIN}).")
    if found is not None:
        _show_causes(screen, found)
    screen.say(f"\nfiles   {folder}")


def _show_causes(screen: "Out", found: "Comparison") -> None:
    from research.portfolio_compare import CAUSES

    screen.say(
        f"\n  Kernel beside venue: {found.orders:,} entries, {found.trades:,} trades, "
        f"{found.fills:,} pairs of fills"
    )
    for cause, count in found.causes.most_common():
        indent = " " * 25
        words = CAUSES.get(cause, "equal to the digit")
        lines = wrap(
            words, 80, initial_indent=f"  {cause:<15}{count:>6,}  ", subsequent_indent=indent
        )
        for line in lines:
            screen.say(line)
    for words in found.unexplained[:_SHOWN]:
        screen.say(f"  ! {words}")


def _wrapped(screen: "Out", name: str, text: str) -> None:
    indent = " " * (2 + len(name))
    for line in wrap(text, 80, initial_indent=f"  {name}", subsequent_indent=indent):
        screen.say(line)
