"""`zion db`: makes and checks a database, and finds what was changed in it."""

import asyncio
import json
import sqlite3

import pytest

from app.cli.main import main
from data.records.opening import open_inline
from live.clock import ManualClock
from tests.data.records import make
from tests.data.records.make import ANN, BOB, NOW


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ZION_HOME", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(["db", *words])
    said = capsys.readouterr()
    return caught.value.code, said.out, said.err


async def _fill(path):
    store = open_inline(path, ManualClock(NOW), durable=False)
    for user_id in (ANN, BOB):
        await make.start(store, user_id)
        for version in range(3):
            await store.commit(make.commit(version, user_id=user_id, records=(make.audit(),)))
    await store.set_kill("", killed=True, generation=1, actor="admin:x", at_ms=NOW)
    await store.close()


def _edit(path, *statements):
    with sqlite3.connect(path) as c:
        for table in ("audit_no_UPDATE", "audit_no_DELETE"):
            c.execute(f"DROP TRIGGER {table}")
        for statement in statements:
            c.execute(statement)
    c.close()


def test_a_database_is_made_once_and_left_alone_then(home, capsys):
    code, _, err = call(capsys, "check")
    assert (code, "zion db upgrade" in err) == (3, True)
    assert not (home / "zion.db").exists()
    code, out, _ = call(capsys, "upgrade", "--json")
    assert (code, json.loads(out)["before"], json.loads(out)["after"]) == (0, "", "0001")
    code, out, _ = call(capsys, "upgrade")
    assert (code, "was up to date" in out) == (0, True)
    code, out, _ = call(capsys, "check", "--json")
    assert (code, json.loads(out)["broken"], json.loads(out)["chains"]) == (0, [], 1)


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 2 AND user_id = '{}'", 2),
        ("DELETE FROM audit WHERE seq = 3 AND user_id = '{}'", 3),
        ("DELETE FROM audit WHERE seq >= 3 AND user_id = '{}'", 3),
        ("DELETE FROM audit WHERE user_id = '{}'", 1),
        ("UPDATE engines SET audit_seq = 3 WHERE user_id = '{}'", 3),
    ],
)
def test_what_was_changed_by_hand_is_found_and_named(home, capsys, statement, seq):
    path = home / "zion.db"
    asyncio.run(_fill(path))
    code, out, _ = call(capsys, "check", "--json")
    assert code == 0
    assert (json.loads(out)["links"], json.loads(out)["chains"]) == (9, 3)
    _edit(path, statement.format(BOB))
    code, out, err = call(capsys, "check", "--json")
    assert code == 4
    (found,) = json.loads(out)["broken"]
    assert (found["user_id"], found["seq"]) == (BOB, seq)
    assert "1 of 3" in err


@pytest.mark.usefixtures("home")
def test_the_password_is_never_shown(capsys, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@/d?host=/nowhere")
    for word in ("check", "upgrade"):
        code, out, err = call(capsys, word)
        assert code == 3
        assert "hunter2" not in out + err
        assert "u:***@" in err
