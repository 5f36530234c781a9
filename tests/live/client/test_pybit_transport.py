"""The real transport against a raw socket: exact bytes, once, and no exception whatever comes."""

import asyncio
import contextlib
import hashlib
import hmac
import logging
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from live.clock import SystemClock
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.pybit_transport import PybitTransport
from live.venues.bybit.signer import Signer
from live.venues.bybit.transport import Auth, NoReply, Reply
from tests.live.client.fakes import KEY, SECRET

OK = b'{"retCode":0}'


def answer(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class RawServer:
    """Keeps what it receives byte for byte and answers what it is told."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.reply: bytes | None = answer(OK)  # None: close without a word
        self.tasks: list[asyncio.Task[None]] = []
        self.drip: Callable[[], bytes] | None = None
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            self.received.append(head + await reader.readexactly(length))
            if self.reply is not None:
                writer.write(self.reply)
                while self.drip is not None:
                    writer.write(self.drip())
                    await writer.drain()
                    await asyncio.sleep(0.01)
                await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    raw = RawServer()
    listening = await asyncio.start_server(raw.handle, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield raw
    raw.drip = None
    listening.close()
    await asyncio.gather(*raw.tasks)


@pytest.fixture
def auth() -> Auth:
    clock = SystemClock()
    return Auth(Signer(KEY, SECRET), VenueClock(clock), clock)


@contextlib.asynccontextmanager
async def transport(url: str, **options: float) -> AsyncIterator[PybitTransport]:
    made = PybitTransport(url, SystemClock(), workers=2, **options)
    try:
        yield made
    finally:
        await made.close()


def signed(raw: bytes) -> bool:
    """Verify the signature over the bytes as they arrived."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
    payload = target.partition("?")[2] if method == "GET" else body.decode()
    text = headers["x-bapi-timestamp"] + KEY + headers["x-bapi-recv-window"] + payload
    mac = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return mac == headers["x-bapi-sign"]


CURSORS = ["132766%3A2%2C132766%3A2", "a%3ab%2c", "x%2Dy%7Ez", "plain", "p%20q+r/s=t"]


@pytest.mark.parametrize("cursor", CURSORS)
async def test_the_signature_covers_the_query_as_it_arrives(server, auth, cursor):
    params = {"symbol": "BTCUSDT", "orderLinkId": "ä b&c=d", "cursor": cursor, "limit": 50}
    async with transport(server.url) as client:
        reply = await client.send("GET", "/v5/order/realtime", params, auth=auth)
    assert isinstance(reply, Reply)
    (raw,) = server.received
    assert signed(raw)
    assert cursor.upper().encode() in raw.upper()


async def test_the_signature_covers_the_body_as_it_arrives(server, auth):
    params = {"category": "linear", "qty": "0.00001", "orderLinkId": "ü", "reduceOnly": False}
    async with transport(server.url) as client:
        reply = await client.send("POST", "/v5/order/create", params, auth=auth)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (200, OK)
    (raw,) = server.received
    assert signed(raw)
    assert raw.endswith(
        '{"category":"linear","qty":"0.00001","orderLinkId":"ü","reduceOnly":false}'.encode()
    )
    assert b"application/json" in raw


async def test_public_requests_carry_no_key(server):
    async with transport(server.url) as client:
        await client.send("GET", "/v5/market/time", {})
    assert b"bapi" not in server.received[0].lower()


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    ],
    ids=range(6),
)
async def test_a_broken_answer_is_no_reply_and_one_request(server, auth, reply):
    server.reply = reply
    async with transport(server.url) as client:
        got = await client.send("POST", "/v5/order/create", {"a": "1"}, auth=auth)
    assert isinstance(got, NoReply)
    assert got.maybe_sent
    assert len(server.received) == 1


@pytest.mark.parametrize("code", [10002, 10006, 10016, 30034, 130150])
async def test_no_code_is_tried_again_by_the_library(server, auth, code):
    server.reply = answer(b'{"retCode":%d,"retMsg":"x"}' % code, "200 OK", "X-Bapi-Limit: 10")
    async with transport(server.url) as client:
        got = await client.send("POST", "/v5/order/create", {"a": "1"}, auth=auth)
    assert isinstance(got, Reply)
    assert got.headers == {"x-bapi-limit": "10"}
    assert len(server.received) == 1


@pytest.mark.parametrize("status", ["403 Forbidden", "502 Bad Gateway", "429 Too Many", "999 Odd"])
async def test_statuses_and_html_are_data(server, auth, status):
    server.reply = answer(b"<html>", status)
    async with transport(server.url) as client:
        got = await client.send("POST", "/v5/order/create", {}, auth=auth)
    assert isinstance(got, Reply)
    assert (got.status, got.body) == (int(status[:3]), b"<html>")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_an_order_is_carried_nowhere_else(server, auth, status):
    server.reply = answer(b"", status, f"Location: {server.url}/v5/order/create")
    async with transport(server.url) as client:
        got = await client.send("POST", "/v5/order/create", {}, auth=auth)
    assert isinstance(got, Reply)
    assert len(server.received) == 1


async def test_no_cookie_goes_from_one_user_to_the_next(server, auth):
    server.reply = answer(OK, "200 OK", "Set-Cookie: who=alice; Path=/")
    async with transport(server.url) as client:
        for _ in range(4):
            await client.send("GET", "/v5/order/realtime", {}, auth=auth)
    assert not any(b"alice" in raw for raw in server.received)


async def test_an_answer_without_end_is_cut(server, auth):
    server.reply = b"HTTP/1.1 200 OK\r\n\r\n"
    server.drip = lambda: b"x" * 2**20
    async with transport(server.url) as client:
        got = await client.send("GET", "/v5/order/realtime", {}, auth=auth)
    assert isinstance(got, NoReply)
    assert got.maybe_sent


async def test_an_answer_that_drips_is_given_up(server, auth):
    server.reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.drip = lambda: b"1\r\nx\r\n"
    async with transport(server.url, answer_timeout_s=0.2) as client:
        got = await client.send("GET", "/v5/order/realtime", {}, auth=auth)
    assert isinstance(got, NoReply)


async def test_silence_is_a_read_timeout_and_maybe_sent(server, auth):
    server.reply = b""
    server.drip = lambda: b""
    async with transport(server.url, read_timeout_s=0.2) as client:
        got = await client.send("POST", "/v5/order/create", {}, auth=auth)
    assert isinstance(got, NoReply)
    assert got.maybe_sent


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    "url", ["refused", "http://no-such-host.invalid", "nonsense://x", "http://"]
)
async def test_what_cannot_have_left_is_known_not_to_have(auth, url):
    address = f"http://127.0.0.1:{closed_port()}" if url == "refused" else url
    async with transport(address) as client:
        got = await client.send("POST", "/v5/order/create", {"a": "1"}, auth=auth)
    assert isinstance(got, NoReply)
    assert not got.maybe_sent


async def test_what_may_not_be_signed_does_not_leave(server, auth):
    async with transport(server.url) as client:
        got = await client.send("POST", "/v5/asset/withdraw/create", {"a": "1"}, auth=auth)
    assert isinstance(got, NoReply)
    assert not got.maybe_sent
    assert server.received == []


async def test_a_closed_transport_sends_nothing(server, auth):
    async with transport(server.url) as client:
        pass
    got = await client.send("POST", "/v5/order/create", {}, auth=auth)
    assert isinstance(got, NoReply)
    assert not got.maybe_sent


async def test_requests_that_cannot_be_written_do_not_leave(server, auth):
    async with transport(server.url) as client:
        got = await client.send("POST", "/v5/order/create", {"a": object()}, auth=auth)
        bad = await client.send("GET", "/v5/order/realtime", {"a": "\ud800"}, auth=auth)
    assert isinstance(got, NoReply)
    assert isinstance(bad, NoReply)
    assert not got.maybe_sent
    assert server.received == []


async def test_the_secret_is_in_no_log_and_no_session(server, auth, caplog):
    caplog.set_level(logging.DEBUG)
    async with transport(server.url) as client:
        await client.send("POST", "/v5/order/create", {"a": "1"}, auth=auth)
        server.reply = None
        lost = await client.send("POST", "/v5/order/create", {"a": "1"}, auth=auth)
        held = [repr(vars(s)) for s in client._sessions]
    assert isinstance(lost, NoReply)
    texts = [caplog.text, lost.reason, *held]
    assert not [t for t in texts if SECRET in t or "X-BAPI-SIGN" in t]
