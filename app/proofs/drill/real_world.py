"""Real processes: a simulated venue, services over one store, and a look at them from outside."""

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.proofs.drill import real_child
from app.proofs.drill.real_market import INTERVAL, WARMUP_BARS, RealMarket
from engine.errors import PromiseBroken
from live.clock import SystemClock
from live.venues.keys import Key

_LOOK_S = 0.25  # between two looks at the truth
_ASK_S = 30.0
_START_S = 180.0
_REPOSITORY = Path(__file__).resolve().parents[3]
now_s = SystemClock().monotonic_s


def ask(url: str, timeout_s: float = _ASK_S) -> tuple[int, Any]:
    """Return (status, document); (0, None) where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - loopback
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except (OSError, ValueError):
        return 0, None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(slots=True)
class Service:
    """One process of the product."""

    process: Any  # of multiprocessing
    port: int
    point: str = ""  # where it kills itself

    @property
    def gone(self) -> bool:
        """Tell whether it has ended."""
        return self.process.exitcode is not None

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended hears nothing."""
        if not self.gone:
            os.kill(self.process.pid, number)

    def ready(self, users: int) -> bool:
        """Tell whether it runs so many users and makes progress."""
        status, document = ask(f"http://127.0.0.1:{self.port}/ready", 2.0)
        return status == 200 and document["progress"]["running"] == users  # noqa: PLR2004 - OK

    def healthy(self) -> bool:
        """Tell whether it answers at all."""
        return ask(f"http://127.0.0.1:{self.port}/health", 2.0)[0] == 200  # noqa: PLR2004 - OK


@dataclass(slots=True)
class Naked:
    """Positions without a stop, as looked at from outside."""

    since_s: dict[tuple[int, str], float] = field(default_factory=dict)
    worst_s: float = 0.0
    times: int = 0

    def see(self, user: int, positions: list[dict[str, Any]], now_s: float) -> None:
        """Take one look at one account."""
        bare = {
            p["symbol"]
            for p in positions
            if float(p["size"] or 0) and not float(p["stopLoss"] or 0)
        }
        for symbol in bare:
            if (user, symbol) not in self.since_s:
                self.times += 1
            since_s = self.since_s.setdefault((user, symbol), now_s)
            self.worst_s = max(self.worst_s, now_s - since_s + _LOOK_S)
        for key in [k for k in self.since_s if k[0] == user and k[1] not in bare]:
            del self.since_s[key]


class RealWorld:
    """Starts, watches and ends processes.

    Parameters
    ----------
    folder : Path
        Their home.
    market : RealMarket
    address : str
        Of the store.
    """

    def __init__(self, folder: Path, market: RealMarket, address: str) -> None:
        self.folder = folder
        self.naked = Naked()
        self.keys: list[Key] = []
        self.services: list[Service] = []
        self._log = (folder / "services.log").open("ab")
        self._market = market
        self._address = address
        self._looked_s = 0.0
        self._forks = multiprocessing.get_context("forkserver")
        self._forks.set_forkserver_preload(["app.proofs.drill.real_preload"])
        self.sim = self._start_sim()
        said = self.sim.stdout.readline() if self.sim.stdout is not None else b""
        told = json.loads(said or b"{}")
        if "rest" not in told:
            self.end()
            raise PromiseBroken("zion sim did not start", why=str(folder / "services.log"))
        self.rest, self.ws = told["rest"], told["ws"]

    def _start_sim(self) -> subprocess.Popen[bytes]:
        begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._market.start_ms // 1000))
        command = [sys.executable, "-c", "from app.cli.main import main; main()", "sim"]
        command += ["--lake", str(self._market.lake), "--interval", INTERVAL, "--speed", "1"]
        command += ["--start", begin, "--updates", "20", "--no-limits"]
        return subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.PIPE, stderr=self._log, cwd=_REPOSITORY
        )

    # ------------------------------------------------------------------ processes

    def serve(self, point: str = "", visit: int = 1) -> Service:
        """Start a service process; with a point it kills itself there."""
        port = _free_port()
        environment = {
            "ZION_HOME": str(self.folder),
            "ZION_REST_URL": self.rest,
            "ZION_WS_URL": self.ws,
            "ZION_VENUE": "sim",
            "ZION_INTERVAL": INTERVAL,
            "ZION_PROFILE": str(self._market.profile),
            "ZION_TURNOVER_MIN_USDT": "0",
            "ZION_LISTED_MIN_DAYS": "0",
            "ZION_WARMUP_BARS": str(WARMUP_BARS),
            "ZION_SNAPSHOT_EVERY_S": "5",
            "DATABASE_URL": self._address,
            "PORT": str(port),
        }
        told = (environment, str(self.folder / "services.log"), point, visit)
        process = self._forks.Process(target=real_child.main, args=told)
        process.start()
        service = Service(process, port, point)
        self.services.append(service)
        return service

    def end(self) -> None:
        """Kill whatever is left."""
        for service in self.services:
            service.tell(signal.SIGKILL)
            service.process.join()
        self.sim.kill()
        self.sim.wait()
        self._log.close()

    # ------------------------------------------------------------------ the truth

    def truth(self, user: int) -> dict[str, Any]:
        """Return the venue's own books of one account."""
        status, document = ask(f"{self.rest}/sim/state?apiKey={self.keys[user].api_key}")
        if status != 200:  # noqa: PLR2004 - OK
            raise PromiseBroken("the simulated venue does not tell its books", why=str(status))
        return document

    def look(self) -> None:
        """Look at all positions, if it is time."""
        if now_s() - self._looked_s < _LOOK_S:
            return
        for user in range(len(self.keys)):
            self.naked.see(user, self.truth(user)["positions"], now_s())
        self._looked_s = now_s()

    # ------------------------------------------------------------------ waiting

    def rest_for(self, seconds: float) -> None:
        """Let time pass, looking."""
        until_s = now_s() + seconds
        while now_s() < until_s:
            self.look()
            time.sleep(0.05)

    def until(self, true: Any, most_s: float = _START_S) -> float | None:
        """Wait for something, looking; seconds it took, None where it did not come."""
        began_s = now_s()
        while now_s() - began_s < most_s:
            if true():
                return now_s() - began_s
            self.look()
            time.sleep(0.1)
        return None
