"""No raw clock, randomness, id or thread in `live` outside its ports: the code is walked."""

import ast
from pathlib import Path

import pytest

LIVE = Path(__file__).parents[2] / "live"
MODULES = frozenset(
    {
        "time", "random", "uuid", "secrets", "threading", "concurrent", "multiprocessing",
        "subprocess", "socket", "requests", "pybit", "os", "sched", "signal", "select",
    }
)  # fmt: skip
CALLS = frozenset(
    {
        "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "asyncio.sleep",
        "asyncio.to_thread", "asyncio.wait_for", "asyncio.timeout", "loop.time",
        "run_in_executor", "call_soon_threadsafe", "np.random.seed", "np.random.rand",
        "asyncio.create_subprocess_exec", "asyncio.open_connection",
    }
)  # fmt: skip

# Who may, and what: every one is a port, or a shell that serves sockets. A new line here is a
# decision; a module that no longer needs its line fails.
ALLOWED: dict[str, frozenset[str]] = {
    "clock.py": frozenset({"time", "asyncio.sleep"}),  # the clock itself
    "settings.py": frozenset({"os"}),  # the reader of the environment
    "accounts/wal.py": frozenset({"os"}),  # the port to a local file
    "market/snapshot.py": frozenset({"os"}),  # the same, for the detector's state
    "service.py": frozenset({"asyncio.to_thread"}),  # the compiled detector; writing a snapshot
    "venues/keys.py": frozenset({"os"}),  # the keys file
    "venues/bybit/public_rest.py": frozenset(
        {"threading", "concurrent", "requests", "pybit", "run_in_executor", "asyncio.to_thread"}
    ),  # pybit blocks: it runs on threads behind the port
    "venues/bybit/pybit_transport.py": frozenset(
        {"threading", "concurrent", "requests", "pybit", "run_in_executor", "asyncio.to_thread"}
    ),  # the same, signed
    "venues/bybit/simkeys.py": frozenset({"asyncio.to_thread"}),  # asks a simulator for keys
    "venues/bybit/signer.py": frozenset({"threading"}),  # asked on the transport's threads
    "venues/bybit/simserver.py": frozenset({"socket", "asyncio.sleep"}),  # the simulator's shell
    "venues/bybit/simhub.py": frozenset({"asyncio.sleep", "asyncio.timeout"}),
    "venues/bybit/simreader.py": frozenset({"asyncio.timeout"}),
    "venues/bybit/simsockets.py": frozenset({"asyncio.timeout"}),
}


def raw(tree: ast.AST) -> set[str]:
    """Return what a module reaches for past its ports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module.split(".")[0]} & MODULES
        elif isinstance(node, ast.Attribute):
            spelt = ast.unparse(node)
            found |= {call for call in CALLS if spelt == call or spelt.endswith(f".{call}")}
            if spelt.endswith("default_rng") and _seedless(tree, node):
                found.add("default_rng()")
    return found


def _seedless(tree: ast.AST, maker: ast.Attribute) -> bool:
    return any(
        isinstance(call, ast.Call) and call.func is maker and not call.args
        for call in ast.walk(tree)
    )


def modules() -> list[Path]:
    return sorted(LIVE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(LIVE).as_posix())
def test_a_module_reaches_the_world_by_its_ports_alone(path):
    name = path.relative_to(LIVE).as_posix()
    found = raw(ast.parse(path.read_text("utf-8")))
    assert found <= ALLOWED.get(name, frozenset()), f"{name} reaches for {sorted(found)}"


def test_the_allow_list_names_modules_that_are_there_and_need_it():
    for name in ALLOWED:
        path = LIVE / name
        assert path.is_file(), name
        assert raw(ast.parse(path.read_text("utf-8"))), name


def test_no_task_of_the_accounts_is_nobodys():
    """Tasks are made by a scope whose end they meet; a loose one could die unseen."""
    for path in sorted((LIVE / "accounts").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "create_task":
                assert ast.unparse(node.value) in {"scope", "self._scope", "group"}, path.name


@pytest.mark.parametrize(
    "code",
    [
        "import time", "from random import random", "import uuid as u", "import threading",
        "from datetime import datetime\nx = datetime.now()", "import numpy as np\n"
        "x = np.random.default_rng()", "import asyncio\nasync def f():\n await asyncio.sleep(1)",
        "def f(loop):\n loop.run_in_executor(None, print)",
    ],
)  # fmt: skip
def test_the_walk_sees_what_it_looks_for(code):
    assert raw(ast.parse(code))
