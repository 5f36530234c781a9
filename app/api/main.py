"""The HTTP face: FastAPI outermost, the pages mounted at the root, one port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from fastapi import FastAPI, Query, Response, WebSocket, WebSocketDisconnect
from starlette.routing import Route

from app.api import assets
from app.api.problems import Problem, install_problems
from app.api.queries import Queries, Source, install
from app.api.stream import TICK_S, Hub, Viewer
from live.platform import Readiness

PAGES = Path(__file__).resolve().parent.parent / "dashboard" / "main.py"
MESSAGE_BYTES_MAX = 16_384
_POLICY, _TOO_BIG = 1008, 1009


def create_app(
    service: Source,
    *,
    note: Callable[[], str] = lambda: "",
    pages: bool = True,
    on_viewer: Callable[[], None] | None = None,
    ready: Callable[[], Readiness] | None = None,
) -> FastAPI:
    """Return the application over a market layer that the caller starts and stops.

    Parameters
    ----------
    service : live.service.MarketService
        Or anything that answers like it. Its ``bus``, where it has one, is followed.
    note : callable
        What the status strip says of the feed (``Replay ×60``).
    pages : bool
        Mount the dashboard at ``/``.
    on_viewer : callable, optional
        Called when a tab opens its socket: the demo's replay waits for it.
    ready : callable, optional
        How the engines go on, where there are any: `/ready` tells it.
    """
    queries = Queries(service, note=note)
    hub = Hub(queries)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queries.bind(asyncio.get_running_loop())
        bus = getattr(service, "bus", None)
        follower = asyncio.create_task(hub.run(bus)) if bus is not None else None
        try:
            yield
        finally:
            if follower is not None:
                follower.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await follower
            queries.bind(None)

    app = FastAPI(
        title="Zion Core",
        summary="The market by phase: which coin fell, formed a base, is armed, broke out; why.",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # the interactive pages load scripts from another host; /openapi.json stays
        redoc_url=None,
    )
    app.state.queries, app.state.hub = queries, hub
    install_problems(app)
    _add_health(app, queries, ready)
    _add_market(app, queries)
    _add_stream(app, hub, on_viewer)
    app.router.routes.append(Route("/assets/{name}", assets.serve, name="assets"))
    install(queries)
    if pages:
        import streamlit as st

        app.mount("/", st.App(str(PAGES)))
    return app


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _add_health(app: FastAPI, queries: Queries, readiness: Callable[[], Readiness] | None) -> None:
    @app.get("/health", tags=["operation"], summary="Is the process alive?")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/ready", tags=["operation"], summary="Does everything make progress?")
    async def ready() -> Response:
        status = queries.status()
        if readiness is not None:
            found = readiness()
            figures = msgspec.to_builtins(found)
            if not found.ready:
                raise Problem(503, "not_ready", f"{'; '.join(found.why)}.", progress=figures)
            return _json({**msgspec.to_builtins(status), "progress": figures})
        if status.state in {"starting", "stopped"}:
            raise Problem(503, "not_ready", f"The market layer is {status.state}.")
        return _json(status)


def _add_market(app: FastAPI, queries: Queries) -> None:
    prefix = "/api/v1/market"

    @app.get(
        f"{prefix}/board",
        tags=["market"],
        summary="Every coin by phase, the funnel, the last moves",
    )
    def board() -> Response:
        return _json(queries.market())

    @app.get(
        f"{prefix}/universe", tags=["market"], summary="Coins watched, and why the others are not"
    )
    def universe() -> Response:
        return _json(queries.universe())

    def _coin(symbol: str) -> Any:
        coin = queries.coin(symbol.upper())
        if coin is None:
            raise Problem(
                404, "unknown_coin", f"{symbol} is not watched. See {prefix}/universe for why."
            )
        return coin

    @app.get(
        f"{prefix}/coins/{{symbol}}",
        tags=["market"],
        summary="What the detector saw of a coin, and why",
    )
    def coin(symbol: str) -> Response:
        return _json(_coin(symbol))

    @app.get(
        f"{prefix}/coins/{{symbol}}/bars", tags=["market"], summary="A coin's candles, newest last"
    )
    def bars(
        symbol: str,
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
        before: Annotated[
            int | None, Query(ge=0, description="Cursor: only bars that open before, ms")
        ] = None,
    ) -> Response:
        rows = [bar for bar in _coin(symbol).bars if before is None or bar[0] < before]
        page = rows[-limit:]
        cursor = page[0][0] if page and len(rows) > len(page) else None
        return _json({"symbol": symbol.upper(), "bars": page, "next_before": cursor})


def _same_origin(socket: WebSocket) -> bool:
    """Tell whether a socket was opened by our own page: a browser always names the origin."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")


def _add_stream(app: FastAPI, hub: Hub, on_viewer: Callable[[], None] | None) -> None:
    @app.websocket("/api/v1/stream")
    async def stream(socket: WebSocket) -> None:
        if not _same_origin(socket):
            await socket.close(_POLICY, "origin")
            return
        await socket.accept()
        if on_viewer is not None:
            on_viewer()
        viewer = Viewer(hub)
        awake = asyncio.Event()
        reader = asyncio.create_task(_read(socket, viewer, awake))
        try:
            while not reader.done():
                for frame in viewer.collect():
                    await socket.send_text(frame.decode())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(awake.wait(), TICK_S)
                awake.clear()
        except (WebSocketDisconnect, RuntimeError):
            pass  # the tab is gone
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await reader


async def _read(socket: WebSocket, viewer: Viewer, awake: asyncio.Event) -> None:
    """Take a tab's wishes until it leaves or misbehaves."""
    while True:
        text = await socket.receive_text()
        if len(text) > MESSAGE_BYTES_MAX:
            await socket.close(_TOO_BIG, "message too long")
            return
        try:
            message = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.MsgspecError:
            message = {}
        wrong = viewer.take(message)
        if wrong is not None:
            await socket.close(_POLICY, wrong)
            return
        awake.set()
