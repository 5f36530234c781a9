"""`zion user`, `live`, `explain`, `doctor` as commands, over a database in a file."""

import json
import socket

import pytest

from app.cli.checkup import disk_check, keys_check, port_check
from app.cli.main import main
from live.settings import load_settings
from live.venues.keys import Key, write_keys


@pytest.fixture
def zion(tmp_path, monkeypatch, capsys):
    for name in ("DATABASE_URL", "ZION_DATABASE_URL", "ZION_VENUE", "PORT", "ZION_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZION_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([*words])
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return run


def test_a_user_is_made_listed_and_steered(zion):
    assert "no users yet" in zion("user", "list")[1]
    code, said, _ = zion("user", "add", "ada", "--settings", "careful", "--json")
    assert code == 0
    made = json.loads(said)
    assert made["mode"] == "sim"
    assert zion("user", "add", "ada")[0] == 2
    assert zion("user", "add", "eve", "--mode", "live")[0] == 2
    (row,) = json.loads(zion("user", "list", "--json")[1])
    assert (row["user_id"], row["name"]) == (made["user_id"], "ada")
    code, said, _ = zion("live", "pause", "--user", "ada", "--wait", "0")
    assert code == 0
    assert "waits: no engine has taken it" in said
    assert "killed" in zion("live", "kill", "--user", "ada")[1]
    code, said, _ = zion("live", "status", "--json")
    (ada,) = json.loads(said)["users"]
    assert ada["engine"] == "killed, none"
    assert zion("live", "resume", "--user", "ada")[0] == 2
    assert zion("live", "resume", "--user", "ada", "--reason", "checked", "--wait", "0")[0] == 0
    assert "none" in zion("live", "status")[1]
    assert zion("live", "kill", "--yes-close", "3")[0] == 2
    assert "whole platform is killed" in zion("live", "status")[1]
    assert zion("live", "trades")[0] == 0
    code, _, error = zion("explain", "t1")
    assert (code, "no trade 't1'" in error) == (2, True)


def test_a_database_that_cannot_be_used_is_one_error_without_its_password(zion, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "mysql://me:hidden-word@localhost/x")
    code, out, error = zion("user", "list")
    assert code == 3
    assert "DATABASE_URL" in error
    assert "hidden-word" not in out + error


def test_the_doctor_says_what_is_broken_and_what_to_do(zion, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ZION_REST_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("ZION_PORT", "0")
        code, said, _ = zion("doctor", "--json")
    assert code == 3
    found = {check["name"]: check for check in json.loads(said)["checks"]}
    assert found["exchange"]["sign"] == "broken"
    assert "ZION_REST_URL" in found["exchange"]["hint"]
    assert found["database"]["sign"] == "look"
    assert found["keys file"]["sign"] == "skipped"
    assert found["disk"]["sign"] in {"ok", "look"}
    zion("user", "add", "ada")
    found = {c["name"]: c for c in json.loads(zion("doctor", "--json")[1])["checks"]}
    assert found["database"]["sign"] == "ok"


def test_the_keys_file_is_looked_at_where_the_mode_needs_one(tmp_path):
    path = tmp_path / "keys.json"
    write_keys(path, {"ada": Key("KEY", "hidden")})
    real = load_settings({}, venue="demo", keys_file=path).settings
    assert keys_check(real).sign == "ok"
    path.chmod(0o644)
    assert keys_check(real).sign == "broken"
    assert keys_check(load_settings({}, venue="demo").settings).sign == "broken"
    assert keys_check(load_settings({}).settings).sign == "skipped"


def test_a_taken_port_and_a_folder_nobody_may_write(tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert port_check("pages", "127.0.0.1", taken.getsockname()[1], "ZION_PORT").sign == "look"
    assert port_check("pages", "127.0.0.1", 0, "ZION_PORT").sign == "ok"
    assert port_check("pages", "203.0.113.1", 8000, "ZION_PORT").sign == "broken"
    assert disk_check(tmp_path / "a" / "b").sign in {"ok", "look"}
    monkeypatch.setattr("os.access", lambda *_: False)
    assert disk_check(tmp_path).sign == "broken"
