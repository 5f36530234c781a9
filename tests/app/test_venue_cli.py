"""`zion venue decode`: what it counts, what it finds, how it fails."""

import json

import pytest

from app.cli.main import main
from engine.venue import wire
from engine.venue.wire import catalogue_kinds as k


def call(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(["venue", "decode", *map(str, words)])
    said = capsys.readouterr()
    return caught.value.code, said.out, said.err


def test_payloads_are_counted_and_new_fields_named(tmp_path, capsys):
    row = wire.encode_order_row(k.ORDER) | {"brandNew": 1}
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.json").write_bytes(wire.envelope({"list": [row]}, 1))
    (tmp_path / "b.json").write_bytes(wire.encode_trade_pong(1, conn_id="c"))
    (tmp_path / "index.json").write_text('{"payloads": []}')
    (tmp_path / "note.txt").write_text("no payload")
    code, out, _ = call(capsys, tmp_path, "--json")
    assert code == 0
    said = json.loads(out)
    assert (said["files"], said["ok"], said["failed"]) == (2, 2, [])
    assert said["unknown_fields"] == {"brandNew": 1}
    assert said["kinds"] == {"order": 1, "order entry: pong": 1}
    code, out, err = call(capsys, tmp_path, "--ascii")
    assert code == 0
    assert "2 of 2 payloads decoded." in out
    assert "unknown field 'brandNew'" in err


def test_what_cannot_be_read_is_named_and_the_exit_is_1(tmp_path, capsys):
    (tmp_path / "html.json").write_text("<html>")
    (tmp_path / "row.json").write_bytes(
        wire.envelope({"list": [{"orderId": "1", "orderStatus": ""}]}, 1)
    )
    code, out, _ = call(capsys, tmp_path, "--json")
    said = json.loads(out)
    assert code == 1
    assert (said["files"], said["ok"]) == (2, 0)
    assert {f["file"].rpartition("/")[2] for f in said["failed"]} == {"html.json", "row.json"}
    assert all(f["error"] for f in said["failed"])


def test_nothing_to_read_is_said(tmp_path, capsys):
    assert call(capsys, tmp_path)[0] == 3
    code, _, err = call(capsys, tmp_path / "gone.json")
    assert code == 3
    assert "error: no payload" in err
    assert call(capsys)[0] == 2
