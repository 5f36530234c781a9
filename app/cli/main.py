"""`zion`: finds the command, imports only what it needs, turns errors into one line and a code."""

import importlib
import os
import sys
from difflib import get_close_matches

import click

from engine.errors import UsageError, ZionError

# name -> (module that holds `app` (typer.Typer), one-line help)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("app.cli.demo", "The whole platform on a replayed market, in the browser."),
    "data": ("app.cli.data", "The lake: import, list, check, synth, compact, download, sql."),
    "backtest": ("app.cli.backtest", "Events, trades, money and pictures over a lake."),
    "levels": ("app.cli.levels", "Is a base real? Surrogates, planted truth, intervals."),
    "parity": ("app.cli.parity", "Prove that the live path sees what the backtest saw."),
    "drill": ("app.cli.drill", "The user engines under faults, in thousands of seeded worlds."),
    "prove": ("app.cli.prove", "Orders exactly once, money to the last digit: seeded proofs."),
    "sim": ("app.cli.sim", "A Bybit V5 market on loopback, replayed from a lake."),
    "venue": ("app.cli.venue", "The venue's own words: decode payloads, check the contract."),
    "user": ("app.cli.user", "The users whose accounts are traded: add, list."),
    "live": ("app.cli.live", "The engines: status, trades, pause, resume, kill, reconcile."),
    "explain": ("app.cli.explain", "One trade from signal to money."),
    "replay": ("app.cli.replay", "A recorded live trace through the same decide(), row by row."),
    "doctor": ("app.cli.doctor", "Is everything there that this deployment needs?"),
    "db": ("app.cli.db", "The database: bring it up to date, check it and its chains."),
    "serve": ("app.cli.serve", "Market layer, engines, API and pages as a service."),
    "bench": ("app.cli.bench", "Speed figures, each beside its reference."),
}

EXAMPLE = "Example:  zion demo        then open the printed address"


class LazyGroup(click.Group):
    """The table of commands; they are imported when they are called, so --help stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the command names in the order of the table."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    help="Zion Core: watch the market for Pattern 1, backtest it, prove it.",
    epilog=EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="zion-core", prog_name="zion")
@click.option("--verbose", is_flag=True, help="Show the trace behind an error (anywhere).")
def cli(verbose: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Show the table; the commands themselves are called by `main`."""


def main(argv: list[str] | None = None) -> None:
    """Run one command; leave with 0 ok, 1 failure, 2 usage, 3 data, 4 a broken promise."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = "--verbose" in arguments
    arguments = [a for a in arguments if a != "--verbose"]
    try:
        code = _run(arguments)
    except KeyboardInterrupt:
        code = _tell("stopped", "", "", 1)
    except BrokenPipeError:  # `zion data list | head`: the reader has seen enough
        # what is left to flush at the exit must not complain either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        if verbose:
            raise
        code = _told(error, arguments)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in COMMANDS:
        app = importlib.import_module(COMMANDS[name][0]).app
        left = app(args=arguments[1:], prog_name=f"zion {name}", standalone_mode=False)
    elif name.startswith("-"):
        left = cli(args=arguments or ["--help"], prog_name="zion", standalone_mode=False)
    else:
        near = get_close_matches(name, COMMANDS, n=1, cutoff=0.6)
        hint = f"did you mean zion {near[0]}?" if near else "zion --help lists the commands"
        raise UsageError(f"no command {name!r}", hint=hint)
    # typer.Exit arrives as its code
    return left if isinstance(left, int) else 0


def _told(error: Exception, arguments: list[str]) -> int:
    if isinstance(error, ZionError):
        return _tell(error.what, error.why, error.hint, error.exit_code)
    # click's own and typer's copy of it: a wrong option, a missing argument
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        said = " ".join(error.format_message().split()).rstrip(".")
        context = getattr(error, "ctx", None)
        path = context.command_path if context else " ".join(["zion", *arguments[:1]])
        if not said:  # a group without its command: typer has shown the help
            return int(error.exit_code)
        return _tell(said[:1].lower() + said[1:], "", f"{path} --help", int(error.exit_code))
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return _tell(f"{error.strerror or error}{where}", "", "--verbose shows the trace", 1)
    command = " ".join(arguments[:1])
    why = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return _tell(f"zion {command} failed unexpectedly", why, "--verbose shows the trace", 1)


def _tell(what: str, why: str, hint: str, code: int) -> int:
    lines = [f"error: {what}"]
    lines += [f"  why: {why}"] if why else []
    lines += [f"  try: {hint}"] if hint else []
    click.echo("\n".join(lines), err=True)
    return code
