"""The HTTP interface and the stream, without a socket where none is needed."""

import warnings
from types import SimpleNamespace

import msgspec
import pytest
from starlette.websockets import WebSocketDisconnect

from app.api import assets
from app.api.main import create_app
from app.api.queries import Pages, Queries
from app.api.stream import BARS_KEPT, MOVES_KEPT, TICK_S, Hub, Viewer
from tests.app.conftest import ready_feed
from tests.app.feed import Feed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the client says it would rather have httpx2
    from fastapi.testclient import TestClient

V1 = "/api/v1/market"


@pytest.fixture
def client(feed: Feed):
    with TestClient(create_app(feed, pages=False)) as client:
        yield client


def decoded(frames: list[bytes]) -> list[dict]:
    return [msgspec.json.decode(f) for f in frames]


# ---------------------------------------------------------------- HTTP


def test_health_answers_whatever_the_market_does(feed: Feed, client: TestClient) -> None:
    feed.status = "starting"
    try:
        assert client.get("/health").status_code == 200
        answer = client.get("/ready")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_ready"
    finally:
        feed.status = "live"
    assert client.get("/ready").json()["state"] == "live"


def test_board_and_universe(feed: Feed, client: TestClient) -> None:
    board = client.get(f"{V1}/board").json()
    assert board["eligible"] == len(feed.symbols)
    assert [s["phase"] for s in board["funnel"]] == [1, 2, 3, 4, 5, 6]
    universe = client.get(f"{V1}/universe").json()
    assert universe["eligible"] == feed.symbols
    assert universe["excluded"]["NEWUSDT"] == "too young"


def test_a_coin_in_full(client: TestClient) -> None:
    coin = client.get(f"{V1}/coins/btcusdt").json()
    assert coin["symbol"] == "BTCUSDT"
    assert len(coin["bars"][0]) == 6


def test_bars_page_backwards_without_a_hole(client: TestClient) -> None:
    whole = client.get(f"{V1}/coins/BTCUSDT/bars?limit=1000").json()["bars"]
    got, before = [], None
    while True:
        query = {"limit": 170} | ({"before": before} if before else {})
        page = client.get(f"{V1}/coins/BTCUSDT/bars", params=query).json()
        got = page["bars"] + got
        before = page["next_before"]
        if before is None:
            break
    assert got == whole


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{V1}/coins/NOPEUSDT", 404, "unknown_coin"),
        (f"{V1}/coins/BTCUSDT/bars?limit=0", 422, "invalid_request"),
        (f"{V1}/coins/BTCUSDT/bars?before=x", 422, "invalid_request"),
        ("/api/v1/nothing", 404, "not_found"),
    ],
)
def test_errors_are_problem_documents(
    client: TestClient, path: str, status: int, code: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == path.split("?", maxsplit=1)[0]


def test_assets_are_immutable_and_named_by_their_bytes(client: TestClient) -> None:
    for name in ("lightweight-charts.mjs", "inter.woff2", "live.js", "mark.svg"):
        answer = client.get(assets.url(name))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert client.get("/assets/live.js").status_code == 404
    assert client.get("/assets/..%2fmain.py").status_code == 404


def test_the_interface_describes_itself(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {f"{V1}/board", f"{V1}/coins/{{symbol}}/bars", "/ready"} <= set(paths)


# ---------------------------------------------------------------- stream: one viewer, no socket


@pytest.fixture
def hub() -> Hub:
    feed = ready_feed_cached()
    queries = Queries(feed)
    queries.pages = Pages(
        price=lambda value, tick: f"{value:.2f}|{tick}",
        status=lambda s: {"status.note": s.note},
        faces={"market": lambda m: {"a": f"coins {m.eligible}", "b": f"at {m.as_of}"}},
        chart=lambda c: {"phases": len(c.ribbon)},
    )
    hub = Hub(queries)
    feed.hub = hub
    return hub


_CACHE: list[Feed] = []


def ready_feed_cached() -> Feed:
    if not _CACHE:
        _CACHE.append(ready_feed())
    return _CACHE[0]


def ask(viewer: Viewer, *topics: str, op: str = "topics") -> str | None:
    return viewer.take({"op": op, "topics": list(topics)})


def test_of_prices_the_last_value_wins(hub: Hub) -> None:
    viewer = Viewer(hub)
    ask(viewer, "price:BTCUSDT")
    for price in (1.0, 2.0, 3.0):
        hub.on_price(
            SimpleNamespace(symbol="BTCUSDT", ts=0, open=1, high=3, low=1, close=price, volume=1)
        )
    frames = decoded(viewer.collect())
    assert [f["data"]["price"] for f in frames] == [3.0]
    assert frames[0]["data"]["text"]["price:BTCUSDT"].startswith("3.00|")
    assert viewer.collect() == []


def test_every_closed_bar_arrives_however_fast_they_close(hub: Hub) -> None:
    feed = hub.queries.source
    viewer = Viewer(hub)
    ask(viewer, "bar:BTCUSDT:15m")
    feed.advance(1)
    decoded(viewer.collect())
    first = feed.minute
    feed.advance(7)
    got: list[list] = []
    for _ in range(3):
        for frame in decoded(viewer.collect()):
            got += frame["data"]["bars"]
    assert [row[0] for row in got] == [first + i * feed.step_ms for i in range(7)]
    b = feed.bars["BTCUSDT"]
    assert got[-1][4] == b.close[list(b.ts).index(got[-1][0])]


def test_lost_bars_show_as_a_gap_in_seq(hub: Hub) -> None:
    feed = hub.queries.source
    viewer = Viewer(hub)
    ask(viewer, "bar:BTCUSDT:15m")
    feed.advance(1)
    frames = decoded(viewer.collect())
    feed.advance(BARS_KEPT + 5)
    for _ in range(2):
        frames += decoded(viewer.collect())
    seqs = [f["seq"] for f in frames]
    assert seqs[1] - seqs[0] == 2


def test_lost_events_show_as_a_gap_in_seq(hub: Hub) -> None:
    feed = hub.queries.source
    viewer = Viewer(hub)
    ask(viewer, "phase")
    event = feed.log[-1]
    hub.on_phase(SimpleNamespace(events=[event]))
    (first,) = decoded(viewer.collect())
    assert first["seq"] == 1
    assert first["data"]["moves"][0]["symbol"] == event.symbol
    hub.on_phase(SimpleNamespace(events=[event] * (MOVES_KEPT + 1)))
    (second,) = decoded(viewer.collect())
    assert second["seq"] == 3
    assert len(second["data"]["moves"]) == MOVES_KEPT


def test_only_slots_that_changed_are_sent(hub: Hub) -> None:
    feed = hub.queries.source
    viewer = Viewer(hub)
    ask(viewer, "face:market")
    (whole,) = decoded(viewer.collect())
    assert whole["snapshot"]
    assert set(whole["data"]["slots"]) == {"a", "b"}
    assert viewer.collect() == []
    feed.advance(1)
    (changed,) = decoded(viewer.collect())
    assert set(changed["data"]["slots"]) == {"b"}
    ask(viewer, "face:market", op="snapshot")
    (again,) = decoded(viewer.collect())
    assert set(again["data"]["slots"]) == {"a", "b"}


def test_a_page_is_rendered_once_for_all_viewers(hub: Hub) -> None:
    calls = []
    hub.queries.pages = Pages(faces={"market": lambda m: calls.append(1) or {"a": str(m.as_of)}})
    viewers = [Viewer(hub) for _ in range(5)]
    for viewer in viewers:
        ask(viewer, "face:market")
        viewer.collect()
    assert len(calls) == 1


def test_what_is_drawn_on_a_chart_follows_the_market(hub: Hub) -> None:
    viewer = Viewer(hub)
    ask(viewer, "chart:BTCUSDT", "chart:NOPEUSDT")
    (frame,) = decoded(viewer.collect())
    assert frame["topic"] == "chart:BTCUSDT"
    assert frame["data"]["phases"] >= 1


def test_status_comes_once_a_second(hub: Hub) -> None:
    viewer = Viewer(hub)
    ask(viewer, "status")
    frames = [f for _ in range(12) for f in decoded(viewer.collect())]
    assert [f["topic"] for f in frames] == ["status"] * round(12 * TICK_S)
    assert frames[0]["data"]["mode"] == "SIM"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"op": "topics"},
        {"op": "shutdown", "topics": []},
        {"op": "topics", "topics": [f"price:{i}" for i in range(500)]},
        {"op": "topics", "topics": "status"},
    ],
)
def test_nonsense_is_refused(hub: Hub, message: dict) -> None:
    assert Viewer(hub).take(message)


def test_unknown_topics_are_ignored(hub: Hub) -> None:
    viewer = Viewer(hub)
    assert ask(viewer, "account", "price:", "face:nothing", "bar:X", "order:1") is None
    assert decoded(viewer.collect()) == []


# ---------------------------------------------------------------- stream: the socket


def test_the_socket_brings_what_was_asked_for(client: TestClient) -> None:
    with client.websocket_connect("/api/v1/stream") as socket:
        socket.send_json({"op": "topics", "topics": ["status"]})
        frame = socket.receive_json()
    assert frame["topic"] == "status"
    assert frame["seq"] == 1


def test_a_foreign_page_cannot_open_the_socket(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        client.websocket_connect("/api/v1/stream", headers={"origin": "https://evil.example"}),
    ):
        pass
    assert closed.value.code == 1008


def test_our_own_page_can(client: TestClient) -> None:
    with client.websocket_connect(
        "/api/v1/stream", headers={"origin": "http://testserver"}
    ) as socket:
        socket.send_json({"op": "topics", "topics": ["status"]})
        assert socket.receive_json()["topic"] == "status"


def test_garbage_closes_the_socket(client: TestClient) -> None:
    with client.websocket_connect("/api/v1/stream") as socket:
        socket.send_text("[1, 2")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1008


def test_the_first_viewer_is_announced(feed: Feed) -> None:
    came = []
    app = create_app(feed, pages=False, on_viewer=lambda: came.append(1))
    with TestClient(app) as client, client.websocket_connect("/api/v1/stream"):
        pass
    assert came == [1]
