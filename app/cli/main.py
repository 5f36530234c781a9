"""`zion`: finds the command, imports only what it needs, turns errors into one line and a code."""

import importlib
import sys
from typing import Any

import click
import typer.main

from engine.errors import ZionError

# name -> (module that holds `app` (typer.Typer), one-line help)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("app.cli.demo", "The whole platform on a replayed market, in the browser."),
    "data": ("app.cli.data", "The lake: import, list, check, synth, compact, download, sql."),
    "backtest": ("app.cli.backtest", "Events, trades, money and pictures over a lake."),
    "levels": ("app.cli.levels", "Is a base real? Surrogates, planted truth, intervals."),
    "parity": ("app.cli.parity", "Prove that the live path sees what the backtest saw."),
    "sim": ("app.cli.sim", "A Bybit V5 market on loopback, replayed from a lake."),
    "serve": ("app.cli.serve", "The shared market layer and its API as a service."),
    "bench": ("app.cli.bench", "Speed figures, each beside its reference."),
}

EXAMPLE = "Example:  zion demo        then open the printed address"


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that --help stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the command names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: Any = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table without importing any command."""
        rows = [(name, line) for name, (_, line) in COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    help="Zion Core: watch the market for Pattern 1, backtest it, prove it.",
    epilog=EXAMPLE,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--verbose", is_flag=True, help="Show the trace behind an error.")
@click.version_option(package_name="zion-core", prog_name="zion")
@click.pass_context
def cli(ctx: click.Context, verbose: bool) -> None:  # noqa: FBT001 - click passes it by name
    """Hold the options that every command shares."""
    ctx.obj = {"verbose": verbose}


def main(argv: list[str] | None = None) -> None:
    """Run one command and leave with its exit code (contracts: 0, 1, 2, 3, 4)."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        code = cli.main(args=arguments, prog_name="zion", standalone_mode=False)
    except ZionError as error:
        if "--verbose" in arguments:
            raise
        code = _tell(error.what, error.why, error.hint, error.exit_code)
    except click.exceptions.Abort:
        code = _tell("stopped", "", "", 1)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OSError as error:
        if "--verbose" in arguments:
            raise
        where = f" ({error.filename})" if error.filename else ""
        code = _tell(f"{error.strerror or error}{where}", "", "add --verbose for the trace", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _tell(what: str, why: str, hint: str, code: int) -> int:
    lines = [f"error: {what}"]
    lines += [f"  why: {why}"] if why else []
    lines += [f"  try: {hint}"] if hint else []
    click.echo("\n".join(lines), err=True)
    return code
