"""The real transport: pybit in a bounded thread pool, stripped of all it would do by itself.

pybit prepares and sends; our signer signs, so no secret lives in a session. A session never tries
twice, follows no redirect, keeps no cookie, logs nothing, reads no environment; every way in which
it can fail becomes a value.
"""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from live.clock import Clock
from live.venues.bybit.signer import SigningRefused
from live.venues.bybit.transport import Auth, NoReply, Params, Reply, payload

BODY_BYTES_MAX = 8 * 2**20  # the largest honest reply (1,000 instruments) is below 2 MiB
_CHUNK_BYTES = 64 * 1024
_HEADERS_KEPT = (
    "x-bapi-limit",
    "x-bapi-limit-status",
    "x-bapi-limit-reset-timestamp",
    "retry-after",
)


@dataclass(slots=True)
class _Job:
    """One request on its way through a worker thread."""

    method: str
    path: str
    payload: str
    auth: Auth | None
    sent_s: float = 0.0
    left: bool = False  # handed to the socket layer: from here on the venue may have it


class PybitTransport:
    """The `Transport` over HTTP.

    Parameters
    ----------
    base_url : str
        Scheme and host, no path.
    clock : Clock
    workers : int
        Threads, and so requests in flight.
    connect_timeout_s, read_timeout_s : float
        For the connection, and for each wait within an answer.
    answer_timeout_s : float
        For the whole of an answer: one that drips is given up.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        *,
        workers: int = 32,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 10.0,
        answer_timeout_s: float = 20.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._clock = clock
        self._workers = workers
        self._timeout = (connect_timeout_s, read_timeout_s)
        self._answer_timeout_s = answer_timeout_s
        self._local = threading.local()
        self._sessions: list[Any] = []
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self.sent = 0

    async def send(
        self, method: str, path: str, params: Params, *, auth: Auth | None = None
    ) -> Reply | NoReply:
        """Send a request once, on a thread."""
        if self._closed:
            return NoReply("the transport is closed", maybe_sent=False)
        try:
            text = payload(method, params)
        except (TypeError, ValueError) as error:
            return NoReply(f"the request cannot be written: {error}", maybe_sent=False)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="bybit")
        self.sent += 1
        job = _Job(method, path, text, auth)
        future = asyncio.get_running_loop().run_in_executor(self._pool, self._run, job)
        try:
            return await future
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is None or caller.cancelling():
                raise
            # The pool dropped it while it waited for a thread: the transport is closing.
            return NoReply("the transport is closed", maybe_sent=job.left)

    async def close(self) -> None:
        """End the threads and their connections."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
        for session in self._sessions:
            session.client.close()
        self._sessions.clear()

    # ------------------------------------------------------------------ on a worker thread

    def _run(self, job: _Job) -> Reply | NoReply:
        try:
            session = self._session()
            job.sent_s = self._clock.monotonic_s()
            return session.exchange(job)
        except SigningRefused as error:
            return NoReply(str(error), maybe_sent=False, sent_s=job.sent_s)
        except Exception as error:  # noqa: BLE001 - whatever a library throws is "no reply"
            sent = job.left and not _never_left(error)
            return NoReply(_words(error), maybe_sent=sent, sent_s=job.sent_s)

    def _session(self) -> Any:
        session = getattr(self._local, "session", None)
        if session is None:
            session = _make_session(self.base_url, self._timeout, self)
            self._local.session = session
            self._sessions.append(session)
        return session

    def read(self, job: _Job, response: Any) -> Reply | NoReply:
        """Read an answer within its limits of size and time."""
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            late = self._clock.monotonic_s() - job.sent_s > self._answer_timeout_s
            if late or len(body) > BODY_BYTES_MAX:
                response.close()
                why = "an answer that never ends" if late else f"an answer over {len(body)} bytes"
                return NoReply(why, maybe_sent=True, sent_s=job.sent_s)
        headers = {
            name: response.headers[name] for name in _HEADERS_KEPT if name in response.headers
        }
        now_s = self._clock.monotonic_s()
        return Reply(response.status_code, bytes(body), headers, job.sent_s, now_s)


def _make_session(base_url: str, timeout: tuple[float, float], reader: PybitTransport) -> Any:
    """Build one thread's pybit session (imported here: pybit is slow to load)."""
    from http.cookiejar import DefaultCookiePolicy

    from pybit.unified_trading import HTTP
    from urllib3.util import parse_url

    class Session(HTTP):
        """pybit's preparing and sending, with our bytes, our signature and our reading."""

        job: _Job

        def exchange(self, job: _Job) -> Reply | NoReply:
            self.job = job
            url = f"{self.endpoint}{job.path}"
            signed = job.auth is not None
            reply: Any = self._submit_request(job.method, url, {}, auth=signed)
            return reply

        def prepare_payload(self, method: str, parameters: Any) -> str:  # noqa: ARG002 - pybit's
            text = self.job.payload
            if method == "GET" and text:
                # What the socket layer would normalise is normalised before it is signed.
                text = self.job.payload = parse_url(f"http://host/?{text}").query or ""
            return text

        def _prepare_headers(
            self,
            payload: Any,
            recv_window: Any,  # noqa: ARG002 - pybit's
            content_type: Any = "",  # noqa: ARG002 - pybit's
        ) -> dict[str, Any]:
            job = self.job
            if job.auth is None:
                return {}
            return job.auth.headers(job.method, job.path, payload)

        def _prepare_request(self, method: str, path: str, params: str, headers: Any) -> Any:
            request = _by_hand(method, path, params, {**self.client.headers, **headers})
            self.job.sent_s = reader._clock.monotonic_s()  # noqa: SLF001 - same module
            self.job.left = True
            return request

        def _check_status_code(self, response: Any, method: Any, path: Any, params: Any) -> None:
            pass  # a status is data

        def _handle_response(
            self,
            response: Any,
            method: Any,  # noqa: ARG002 - pybit's
            path: Any,  # noqa: ARG002
            params: Any,  # noqa: ARG002
            recv_window: Any,  # noqa: ARG002
            retries_attempted: Any,  # noqa: ARG002
        ) -> Any:
            return reader.read(self.job, response)

    session: Any = Session(
        timeout=timeout,
        # A non-empty set that no code matches: an empty one means pybit's own retries.
        retry_codes={-1},
        max_retries=1,
        force_retry=False,
        log_requests=False,
        logging_level=logging.CRITICAL,
    )
    session.endpoint = base_url
    client = session.client
    client.stream = True  # bodies are read by us, in pieces
    client.trust_env = False  # no proxy, no .netrc, no certificates from the environment
    client.get_redirect_target = lambda _: None  # an order is not carried elsewhere
    client.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _by_hand(method: str, url: str, payload: str, headers: dict[str, Any]) -> Any:
    """Make a request: requests itself would merge settings we have none of, at a third of all CPU.

    The query of a GET goes byte for byte as it was signed.
    """
    from requests import PreparedRequest
    from requests.structures import CaseInsensitiveDict

    request = PreparedRequest()
    request.method = method
    request.headers = CaseInsensitiveDict(headers)
    request.url = url
    if method == "GET":
        if payload:
            request.url = f"{url}?{payload}"
    else:
        request.body = payload.encode()
        request.headers["Content-Length"] = str(len(request.body))
    return request


def _never_left(error: BaseException) -> bool:
    """Tell whether an error proves that no byte of the request reached the venue."""
    import ssl

    from requests import exceptions as of_requests
    from urllib3 import exceptions as of_urllib3

    proofs = (
        of_requests.ConnectTimeout,
        of_requests.InvalidURL,
        of_requests.InvalidSchema,
        of_requests.InvalidHeader,
        of_urllib3.NewConnectionError,  # includes names that do not resolve
        of_urllib3.ConnectTimeoutError,
        of_urllib3.LocationParseError,
        ssl.SSLCertVerificationError,
    )
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        each = todo.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, proofs):
            return True
        todo += [each.__cause__, getattr(each, "reason", None), *each.args]
    return False


def _words(error: BaseException) -> str:
    """Return what to say of an error: its kind only, since messages may quote headers."""
    kinds = [type(error).__name__]
    cause = error.args[0] if error.args else None
    if isinstance(cause, BaseException):
        kinds.append(type(cause).__name__)
        reason = getattr(cause, "reason", None)
        if isinstance(reason, BaseException):
            kinds.append(type(reason).__name__)
    return ": ".join(kinds)
