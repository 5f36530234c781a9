"""`zion levels`: is a base real? Surrogates, planted truth, intervals."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import AsciiOption, JsonOption, LakeOption, OneVenueOption, instant_ms
from engine.errors import UsageError

if TYPE_CHECKING:  # research is imported when the command runs: `zion --help` stays instant
    from app.cli.out import Out
    from data.readable import Skip
    from engine.bars import Bars
    from engine.pipeline.profile import Profile
    from research.cluster import Estimate
    from research.levels import Sample, Specificity
    from research.levels_planted import PlantedFigures

app = typer.Typer(add_completion=False)


@app.command(epilog="Example:  zion levels --lake var/lake --interval 15m --profile default,v1")
def levels(
    *,
    lake: LakeOption = None,
    venue: OneVenueOption = None,
    interval: Annotated[str, typer.Option(help="Length of a bar: 5m, 15m, 1h.")] = "15m",
    symbols: Annotated[str, typer.Option(help="A,B | all | top:N (by turnover).")] = "all",
    profile: Annotated[
        str, typer.Option(help="Names or TOML files, as in default,v1.")
    ] = "default,v1",
    surrogates: Annotated[int, typer.Option(help="Sign-flipped histories; 0 = none.")] = 20,
    planted: Annotated[
        int, typer.Option(help="Planted bases a noise, walks a kind; 0 = none.")
    ] = 250,
    block: Annotated[str, typer.Option(help="A sign is held for: bar, 1h, 4h, 24h.")] = "bar",
    split: Annotated[
        str | None, typer.Option(help="Day between before and after; else half of the bars.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of surrogates, planted paths and intervals.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads.")] = 2,
    json: JsonOption = False,
    ascii: AsciiOption = False,  # noqa: A002 - the flag's name
) -> None:
    """Measure whether the base detector sees anything that chance lacks.

    Real histories against the same histories with their direction tossed away, then planted bases
    and walks whose truth is known. Every figure has its 95 % interval.
    """
    from app.cli.lake import lake_folder
    from app.cli.out import Out, number
    from data.profiles import load_profile
    from research.levels import sample_of, specificity
    from research.levels_planted import planted_truth, specs

    _in_range(surrogates=(surrogates, 0, 10_000), planted=(planted, 0, 100_000))
    _in_range(seed=(seed, 0, 2**31 - 1), threads=(threads, 1, 256))
    if not surrogates and not planted:
        raise UsageError("nothing to measure", hint="--surrogates or --planted above 0")
    split_ms = None if split is None else instant_ms(split, "--split")
    lake = lake_folder(lake)
    profiles = [load_profile(name.strip(), interval) for name in profile.split(",")]
    screen = Out(json=json, ascii=ascii)
    screen.title(
        f"zion levels · {', '.join(p.id for p in profiles)} · {venue or lake} · seed {seed}\n"
    )
    sample, found, truth, skips = None, [], [], []
    if surrogates:
        with screen.stage("load") as stage:
            name, histories, skips = _read(lake, venue, interval, symbols)
            sample = sample_of(histories, interval, split_ms=split_ms)
            stage.note = f"{number(sample.bars)} bars, {sample.symbols} coins, {name}"
        screen.skipped(skips)
        parts = (surrogates + 1) * len(sample.stretches)
        with screen.stage("surrogates") as stage, screen.progress("surrogates", parts) as advance:
            found = specificity(
                sample, profiles, surrogates=surrogates, block=block, seed=seed, threads=threads,
                advance=advance,
            )  # fmt: skip
            stage.note = f"{surrogates} histories, signs held for one {block}"
    if planted:
        cells = len(specs(planted))
        with screen.stage("planted") as stage, screen.progress("planted", cells) as advance:
            truth = planted_truth(
                profiles, planted=planted, seed=seed, threads=threads, advance=advance
            )
            stage.note = f"{number(sum(s.count for s in specs(planted)))} paths"
    screen.document(
        _document(sample, found, truth, surrogates, planted, block, seed) | {"skipped": skips}
    )
    if sample is not None:
        _show_sample(screen, sample)
        _show_found(screen, found, profiles)
    if truth:
        _show_truth(screen, truth)
    _answer(screen, found)


def _in_range(**options: tuple[int, int, int]) -> None:
    for name, (value, low, high) in options.items():
        if not low <= value <= high:
            raise UsageError(f"--{name} {value} is out of range", hint=f"from {low} to {high}")


def _read(
    lake: Path, venue: str | None, interval: str, symbols: str
) -> tuple[str, list[tuple[str, "Bars"]], list["Skip"]]:
    from data.catalog import Lake
    from data.db import select_symbols
    from data.readable import read_series

    store = Lake(lake)
    name = store.resolve_venue(venue)
    wanted = select_symbols(store, name, interval, symbols)
    bars, skips = read_series(store, name, interval, wanted)
    return name, list(bars.items()), skips


def _document(
    sample: "Sample | None",
    found: list["Specificity"],
    truth: list["PlantedFigures"],
    surrogates: int,
    planted: int,
    block: str,
    seed: int,
) -> dict[str, object]:
    about = {} if sample is None else sample._asdict()
    about["stretches"] = 0 if sample is None else len(sample.stretches)
    return {
        "sample": about,
        "settings": {"surrogates": surrogates, "planted": planted, "block": block, "seed": seed},
        "specificity": found,
        "planted": truth,
    }


def _cell(e: "Estimate", digits: int = 2, *, sign: bool = False) -> str:
    from app.cli.out import number, signed

    show = signed if sign else number
    if e.value != e.value:
        return "—"
    return f"{show(e.value, digits)} [{show(e.low, digits)}, {show(e.high, digits)}]"


def _columns(screen: "Out", head: list[str], rows: list[tuple[str, list[str]]]) -> None:
    # profiles side by side, two at a time: 80 columns suffice
    for at in range(0, len(head), 2):
        screen.say()
        screen.table(
            ["", *head[at : at + 2]], [[name, *cells[at : at + 2]] for name, cells in rows]
        )


def _show_sample(screen: "Out", sample: "Sample") -> None:
    from app.cli.out import number, utc
    from research.levels import BARS_MIN

    day = utc(sample.split_ms)[:10]
    first, last = utc(sample.first_ms)[:10], utc(sample.last_ms)[:10]
    screen.say(f"\n  {first} → {last}, halves meet at {day}")
    screen.say(f"  left out: {number(sample.bars_short)} bars in stretches under {BARS_MIN}")


def _show_found(screen: "Out", found: list["Specificity"], profiles: list["Profile"]) -> None:
    from research.levels import baseline_of

    base = profiles[baseline_of(profiles)].name
    rows = [
        ("armed, real / surrogate", [_cell(x.s) for x in found]),
        ("  first half", [_cell(x.s_before) for x in found]),
        ("  second half", [_cell(x.s_after) for x in found]),
        (f"  over {base}'s", [_cell(x.s_paired) for x in found]),
        ("  given stabilised", [_cell(x.armed_given_stab) for x in found]),
        ("breakouts, real / surr.", [_cell(x.breakouts) for x in found]),
        ("armed a coin-month", [_cell(x.armed) for x in found]),
        ("  surrogate", [_cell(x.armed_surrogate) for x in found]),
        ("level changes an arming", [_cell(x.level_changes) for x in found]),
        ("  surrogate", [_cell(x.level_changes_surrogate) for x in found]),
    ]
    _columns(screen, [x.profile for x in found], rows)


def _show_truth(screen: "Out", truth: list["PlantedFigures"]) -> None:
    rows = [
        ("recall, short bases", [_cell(x.recall_short) for x in truth]),
        ("recall, long bases", [_cell(x.recall_long) for x in truth]),
        ("walks armed, calming", [_cell(x.walks_calming) for x in truth]),
        ("walks armed, wild", [_cell(x.walks_wild) for x in truth]),
        ("delay, bars", [_cell(x.delay_bars, 0) for x in truth]),
        ("floor error, ATR", [_cell(x.floor_error, sign=True) for x in truth]),
        ("  within 0.5", [_cell(x.floor_close) for x in truth]),
        ("level error, ATR", [_cell(x.level_bias, sign=True) for x in truth]),
        ("  within 0.5", [_cell(x.level_close) for x in truth]),
    ]
    for at, cell in enumerate(truth[0].cells):
        where = f"  {cell.ceiling} ceiling, {cell.noise}"
        rows.append((where, [_cell(x.cells[at].close) for x in truth]))
    rows.append(("level changes an arming", [_cell(x.level_changes) for x in truth]))
    _columns(screen, [x.profile for x in truth], rows)


def _answer(screen: "Out", found: list["Specificity"]) -> None:
    screen.say()
    for x in found:
        if x.s.low > 1.0:
            words = "arms on more bases than chance gives."
        elif x.s.high < 1.0:
            words = "arms on fewer bases than chance gives."
        elif x.s.low == x.s.low:
            words = "shows no more bases than chance gives: the interval covers 1."
        else:
            words = "armed too rarely to say."
        screen.say(f"{x.profile} {words}")
    screen.say("Nothing here is about money.   Next: zion backtest")
