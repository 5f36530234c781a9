"""After the warm-up nothing is left to compile; asked of a fresh interpreter each time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

# What the whole session needs: all dispatchers of some packages, and those another one calls.
TOOLS = """
import importlib, json, pkgutil, sys
from types import CodeType
from numba.core.dispatcher import Dispatcher

def modules(package):
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(root.__path__, package + "."):
        yield importlib.import_module(found.name)

def kernels(*packages):
    found = {}
    for package in packages:
        for module in modules(package):
            for value in vars(module).values():
                if isinstance(value, Dispatcher) and value.py_func.__module__ == module.__name__:
                    found[f"{module.__name__}.{value.py_func.__name__}"] = value
    return found

def reached(kernel, seen):
    # a kernel loaded from the cache brings the code of its callees, not their signatures
    if kernel in seen:
        return
    seen.add(kernel)
    for name in kernel.py_func.__code__.co_names:
        callee = kernel.py_func.__globals__.get(name)
        if isinstance(callee, Dispatcher):
            reached(callee, seen)

def cold(found):
    warmed = set()
    for kernel in found.values():
        if kernel.signatures:
            reached(kernel, warmed)
    return sorted(name for name, kernel in found.items() if kernel not in warmed)

def signatures(found):
    return {name: [str(s) for s in kernel.signatures] for name, kernel in found.items()}
"""
ENGINE = """
found = kernels("engine")
from engine.warm import warm
list(warm(GROUPS))
print(json.dumps({"kernels": len(found), "cold": cold(found)}))
"""
BACKTEST = """
import tempfile
import numpy as np
from data.catalog import Lake
from data.synth import make_market, write_market
from engine.warm import BACKTEST, warm
from research.backtest import backtest

found = kernels("engine")
list(warm(BACKTEST))
before = signatures(found)
with tempfile.TemporaryDirectory() as folder:
    lake = Lake(folder)
    write_market(lake, make_market(np.random.default_rng(7), symbols=4, days=40, also=("5m",)))
    result = backtest(lake, interval="15m", intrabar="finer", runs=folder + "/runs")
after = signatures(found)
print(json.dumps({
    "trades": len(result.trades),
    "new": {k: after[k] for k in found if after[k] != before[k]},
}))
"""
LIVE = """
import numpy as np
from live.market.scanner import warm_scanner
from tests.live.helpers import synthetic
from tests.live.test_scanner import batches, scanner_of

found = kernels("engine", "live.market")
warm_scanner()
before = signatures(found)
bars = synthetic(2, 400)
symbols = sorted(bars)
scanner = scanner_of(symbols)
seen = batches(bars, symbols)
for batch in seen[:-1]:
    scanner.step(batch)
scanner.replay(0, np.array([seen[-1].ts]), seen[-1].bars[:1])
scanner.frames.load(1, *scanner.frames.dump(0))
after = signatures(found)
print(json.dumps({
    "steps": scanner.steps,
    "cold": cold({k: v for k, v in found.items() if k.startswith("live.")}),
    "new": {k: after[k] for k in found if after[k] != before[k]},
}))
"""


def _ask(script: str) -> dict:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", TOOLS + script],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="the engine runs uncompiled: there is nothing to warm"
)


def test_every_kernel_of_the_engine_is_warmed() -> None:
    asked = _ask(ENGINE.replace("warm(GROUPS)", "warm()"))
    assert asked["kernels"] > 60, "the walk has lost the kernels"
    assert asked["cold"] == []


def test_a_kernel_left_out_is_seen() -> None:
    cold = _ask(ENGINE.replace("GROUPS", "('newest',)"))["cold"]
    assert "engine.kernels.paths.walk_trades" in cold
    assert "engine.kernels.rolling.falls" in cold
    assert "engine.pipeline.scan._history" in cold
    assert "engine.pipeline.detector.step" not in cold


def test_a_backtest_compiles_nothing_after_its_warm_up() -> None:
    asked = _ask(BACKTEST)
    assert asked["trades"] > 0, "without a trade no path was walked"
    assert asked["new"] == {}


def test_the_live_scan_compiles_nothing_after_its_warm_up() -> None:
    asked = _ask(LIVE)
    assert asked["steps"] > 0
    assert asked["cold"] == []
    assert asked["new"] == {}
