"""A small Bybit V5 market server on loopback: real HTTP, documented shapes, faults on demand."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from engine.bars import INTERVAL_MS

_MS = {("D" if n == "1d" else str(ms // 60_000)): ms for n, ms in INTERVAL_MS.items()}


@dataclass
class Exchange:
    """What the server knows, and how it is asked to fail.

    `faults` says, per request number (from 1), what to do instead of answering; `cut` limits a
    page.
    """

    now_ms: int
    klines: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    funding: dict[str, dict[int, str]] = field(default_factory=dict)
    instruments: list[dict[str, Any]] = field(default_factory=list)
    page: int = 500
    faults: dict[int, str] = field(default_factory=dict)
    always: str = ""
    cut: int = 10_000
    twice: bool = False
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, path: str) -> list[dict[str, str]]:
        return [query for at, query in self.requests if at == path]

    def answer(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        routes: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
            "/v5/market/kline": self._kline,
            "/v5/market/funding/history": self._funding,
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/tickers": self._tickers,
        }
        return routes[path](query)

    def _ok(self, result: dict[str, Any]) -> dict[str, Any]:
        return {
            "retCode": 0,
            "retMsg": "OK",
            "result": result,
            "retExtInfo": {},
            "time": self.now_ms,
        }

    def _kline(self, query: dict[str, str]) -> dict[str, Any]:
        symbol = query["symbol"]
        if symbol not in self.klines:
            return {"retCode": 10001, "retMsg": "Not supported symbols", "result": {}, "time": 1}
        start, end = int(query["start"]), int(query["end"])
        limit = min(int(query.get("limit", "200")), 1000, self.cut)
        known = self.klines[symbol]
        # The candle in progress is served like any other, without a flag.
        stamps = [t for t in sorted(known, reverse=True) if start <= t <= min(end, self.now_ms)]
        rows = [known[t] for t in stamps[:limit]]
        if self.twice:
            rows = [row for row in rows for _ in range(2)]
        assert query["interval"] in _MS
        return self._ok({"symbol": symbol, "category": "linear", "list": rows})

    def _funding(self, query: dict[str, str]) -> dict[str, Any]:
        if ("startTime" in query) and ("endTime" not in query):
            return {"retCode": 10001, "retMsg": "params error", "result": {}, "time": 1}
        start, end = int(query.get("startTime", 0)), int(query.get("endTime", self.now_ms))
        known = self.funding.get(query["symbol"], {})
        stamps = [t for t in sorted(known, reverse=True) if start <= t <= end]
        rows = [
            {"symbol": query["symbol"], "fundingRate": known[t], "fundingRateTimestamp": str(t)}
            for t in stamps[: int(query.get("limit", "200"))]
        ]
        return self._ok({"category": "linear", "list": rows})

    def _instruments(self, query: dict[str, str]) -> dict[str, Any]:
        # Cursors of Bybit come percent-encoded already, and must come back as they were.
        first = int(query["cursor"].removeprefix("p%3A")) if query.get("cursor") else 0
        rows = self.instruments[first : first + self.page]
        more = first + self.page < len(self.instruments)
        cursor = f"p%3A{first + self.page}" if more else ""
        return self._ok({"category": "linear", "list": rows, "nextPageCursor": cursor})

    def _tickers(self, _query: dict[str, str]) -> dict[str, Any]:
        rows = [
            {"symbol": row["symbol"], "turnover24h": str(1e6 * (i + 1)), "lastPrice": "1"}
            for i, row in enumerate(self.instruments)
        ]
        return self._ok({"category": "linear", "list": rows})


def instrument(symbol: str, **changes: Any) -> dict[str, Any]:
    row = {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": symbol.removesuffix("USDT"),
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "launchTime": "1585526400000",
        "isPreListing": False,
    }
    return {**row, **changes}


def kline_row(ts: int, close: float) -> list[str]:
    prices = (close, close + 2, close - 2, close + 1, 7.5, 7.5 * close)
    return [str(ts), *(str(x) for x in prices)]


class _Handler(BaseHTTPRequestHandler):
    exchange: Exchange
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        # Cursors are compared as they stand on the wire.
        raw = dict(p.split("=", 1) for p in parts.query.split("&") if "=" in p)
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        if "cursor" in raw:
            query["cursor"] = raw["cursor"]
        exchange = self.exchange
        with exchange.lock:
            exchange.requests.append((parts.path, query))
            fault = exchange.faults.get(len(exchange.requests), exchange.always)
        if fault:
            self._fail(fault)
            return
        self._send(200, json.dumps(exchange.answer(parts.path, query)).encode())

    def _fail(self, fault: str) -> None:
        if fault == "hang":
            time.sleep(1.5)  # longer than the client's patience
            self.close_connection = True
        elif fault == "drop":
            self.close_connection = True
        elif fault == "html":
            self._send(502, b"<html>Bad Gateway</html>", "text/html")
        elif fault == "html200":
            self._send(200, b"<html>maintenance</html>", "text/html")
        elif fault == "403":
            self._send(403, b"access too frequent", "text/plain")
        elif fault == "shapeless":
            self._send(200, b'{"retCode": 0, "retMsg": "OK", "result": {"list": null}, "time": 1}')
        else:
            body = {"retCode": int(fault), "retMsg": "fault", "result": {}, "time": 1}
            self._send(200, json.dumps(body).encode())

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(exchange: Exchange) -> Iterator[str]:
    handler = type("Handler", (_Handler,), {"exchange": exchange})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
