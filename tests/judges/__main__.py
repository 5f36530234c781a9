"""`python -m tests.judges`: let independent clients trade on `zion sim` and print what they found.

A judge that could not run is 'not run: why', never a pass. Exit code 1 on a failure that
`expected.toml` does not explain.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from live.clock import SystemClock
from tests.judges.market import make_lake, open_account, state, venue
from tests.judges.report import Verdict, table, unexpected
from tests.judges.venvs import HOME, NotRun, python_of, version

DRIVERS = Path(__file__).parent / "drivers"
# judge -> (environment, package in it, what is judged)
JUDGES = {
    "ccxt_rest": ("ccxt", "ccxt", "ccxt {} REST"),
    "ccxt_pro": ("ccxt", "ccxt", "ccxt.pro {} streams, order entry"),
    "pybit_rest": ("pybit", "pybit", "pybit {} HTTP"),
    "pybit_ws": ("pybit", "pybit", "pybit {} WebSocket, WebSocketTrading"),
    "nautilus_rest": ("nautilus", "nautilus-trader", "NautilusTrader {} BybitHttpClient"),
    "nautilus_ws": ("nautilus", "nautilus-trader", "NautilusTrader {} BybitWebSocketClient"),
    "freqtrade_live": ("freqtrade", "freqtrade", "freqtrade {} live"),
}
JUDGE_TIMEOUT_S = 420
SYMBOL = "BTCUSDT"
CLOCK = SystemClock()


def ask(judge: str, lake: Path) -> Verdict:
    """Run one judge against a venue of its own."""
    environment, package, words = JUDGES[judge]
    verdict = Verdict(judge, words.format(version(environment, package)))
    try:
        python = python_of(environment)
    except NotRun as why:
        verdict.not_run = str(why)
        return verdict
    folder = (HOME / "work" / judge).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    began = CLOCK.monotonic_s()
    with venue(lake, CLOCK.now_ms(), folder / "sim.log") as addresses:
        key, secret = open_account(addresses["rest"])
        given = {
            **addresses,
            "key": key,
            "secret": secret,
            "symbol": SYMBOL,
            "other": "ETHUSDT",
            "interval": "1",
            "folder": str(folder),
        }
        _listen(verdict, [str(python), str(DRIVERS / f"{judge}.py"), json.dumps(given)], folder)
        crashes = state(addresses["rest"])["crashes"]
    if crashes:
        verdict.broke = f"the simulator fell {len(crashes)} times: {crashes[0]}"
    verdict.seconds = round(CLOCK.monotonic_s() - began, 1)
    return verdict


def _listen(verdict: Verdict, command: list[str], folder: Path) -> None:
    """Run a driver and read its lines."""
    with (folder / "stderr.log").open("w") as errors, (folder / "stdout.log").open("w+") as out:
        try:
            code = subprocess.run(  # noqa: S603 - our own driver
                command, stdout=out, stderr=errors, check=False, cwd=folder, timeout=JUDGE_TIMEOUT_S
            ).returncode
        except subprocess.TimeoutExpired:
            verdict.broke = f"not done within {JUDGE_TIMEOUT_S} s"
            code = 0
        out.seek(0)
        for line in out:
            if line.startswith('{"name"'):
                verdict.calls.append(json.loads(line))
    if code:
        last = ((folder / "stderr.log").read_text().strip().splitlines() or ["no words"])[-1]
        verdict.broke = f"the driver ended with code {code}: {last}"
    if not verdict.calls and not verdict.broke:
        verdict.broke = "the driver tried nothing"


def main() -> int:
    """Ask the judges; print the table and write it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.judges", description=__doc__)
    parser.add_argument("--only", default="", help="judges, as in ccxt_rest,nautilus_ws")
    wanted = [j for j in parser.parse_args().only.split(",") if j]
    if unknown := set(wanted) - set(JUDGES):
        parser.error(f"no judge {', '.join(sorted(unknown))}; there are {', '.join(JUDGES)}")
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        make_lake(lake, CLOCK.now_ms())
        verdicts = []
        for judge in wanted or JUDGES:
            verdicts.append(ask(judge, lake))
            done = verdicts[-1]
            print(
                f"{judge}: {done.passed} of {len(done.calls)} in {done.seconds:g} s {done.not_run}"
            )
    print("\n" + table(verdicts))
    found = unexpected(verdicts)
    rows = [vars(v) | {"passed": v.passed, "failed": len(v.failed)} for v in verdicts]
    report = {"judges": rows, "unexpected": found}
    (HOME / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    if found:
        print(f"\n{len(found)} unexpected:", *found, sep="\n  ", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
