"""What the simulated venue lets one user, one address and one session do. Pure: time is given."""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

SECOND_MS = 1000
# Per user and second, of linear contracts and an ordinary user. What is not named has no limit.
PER_SECOND: Mapping[str, int] = {
    **dict.fromkeys(
        (
            "/v5/order/create",
            "/v5/order/amend",
            "/v5/order/cancel",
            "/v5/order/cancel-all",
            "/v5/order/create-batch",
            "/v5/order/amend-batch",
            "/v5/order/cancel-batch",
            "/v5/order/pre-check",
            "/v5/position/set-leverage",
            "/v5/position/switch-mode",
            "/v5/position/trading-stop",
            "/v5/position/set-auto-add-margin",
            "/v5/position/add-margin",
            "/v5/position/confirm-pending-mmr",
            "/v5/account/instruments-info",
            "/v5/account/set-limit-px-action",
        ),
        10,
    ),
    **dict.fromkeys(
        (
            "/v5/order/realtime",
            "/v5/order/history",
            "/v5/execution/list",
            "/v5/position/list",
            "/v5/position/closed-pnl",
            "/v5/account/wallet-balance",
            "/v5/account/info",
        ),
        50,
    ),
    **dict.fromkeys(
        (
            "/v5/account/set-margin-mode",
            "/v5/account/fee-rate",
            "/v5/account/query-dcp-info",
            "/v5/order/disconnected-cancel-all",
        ),
        5,
    ),
    "/v5/account/transaction-log": 25,
}
# Order entry by stream and by request share one allowance.
OP_PATHS: Mapping[str, str] = {
    "order.create": "/v5/order/create",
    "order.amend": "/v5/order/amend",
    "order.cancel": "/v5/order/cancel",
    "order.create-batch": "/v5/order/create-batch",
    "order.amend-batch": "/v5/order/amend-batch",
    "order.cancel-batch": "/v5/order/cancel-batch",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """The venue's numbers; `NO_LIMITS` for benchmarks."""

    per_user: bool = True
    ip_requests: int = 600
    ip_window_ms: int = 5_000
    ban_ms: int = 600_000
    connects: int = 500
    connect_window_ms: int = 300_000
    streams: int = 1_000  # public connections of an address at once
    trade_requests_s: int = 3_000


NO_LIMITS = LimitRules(
    per_user=False, ip_requests=1 << 60, connects=1 << 60, streams=1 << 60, trade_requests_s=1 << 60
)


class Window:
    """At most `limit` in any `length_ms`."""

    __slots__ = ("_taken", "length_ms", "limit")

    def __init__(self, limit: int, length_ms: int) -> None:
        self.limit = limit
        self.length_ms = length_ms
        self._taken: deque[int] = deque()

    def left(self, now_ms: int) -> int:
        """Return how many more are allowed now."""
        taken = self._taken
        while taken and now_ms - taken[0] >= self.length_ms:
            taken.popleft()
        return self.limit - len(taken)

    def take(self, now_ms: int, amount: int = 1) -> int:
        """Use up to `amount`; returns how many were allowed."""
        granted = max(0, min(amount, self.left(now_ms)))
        self._taken.extend([now_ms] * granted)
        return granted

    def free_at(self, now_ms: int) -> int:
        """Return when the next one is allowed."""
        return now_ms if self.left(now_ms) > 0 else self._taken[0] + self.length_ms


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a user's request was granted, and what its reply's headers say."""

    granted: int
    headers: dict[str, str]


class Limits:
    """All allowances of the venue.

    Parameters
    ----------
    rules : LimitRules
    per_second : mapping of str to int
        Requests of one user, one endpoint.
    """

    def __init__(
        self, rules: LimitRules | None = None, per_second: Mapping[str, int] = PER_SECOND
    ) -> None:
        self.rules = rules or LimitRules()
        self._per_second = dict(per_second)
        self._users: dict[tuple[int, str], Window] = {}
        self._addresses: dict[str, Window] = {}
        self._connects: dict[str, Window] = {}
        self._trades: dict[str, Window] = {}
        self._banned_until: dict[str, int] = defaultdict(int)
        self.refused: dict[str, int] = defaultdict(int)

    def user(self, uid: int, path: str, now_ms: int, amount: int = 1) -> Allowance:
        """Use a user's allowance of an endpoint; 0 granted = refuse with 10006."""
        limit = self._per_second.get(path)
        if limit is None or not self.rules.per_user:
            return Allowance(amount, {})
        window = self._users.get((uid, path))
        if window is None:
            window = self._users[uid, path] = Window(limit, SECOND_MS)
        granted = window.take(now_ms, amount)
        if granted < amount:
            self.refused["user"] += 1
        reset = window.free_at(now_ms) if granted < amount else now_ms
        return Allowance(
            granted,
            {
                "X-Bapi-Limit": str(limit),
                "X-Bapi-Limit-Status": str(window.left(now_ms)),
                "X-Bapi-Limit-Reset-Timestamp": str(reset),
            },
        )

    def address(self, ip: str, now_ms: int) -> bool:
        """Count a request of an address; False = locked out (HTTP 403)."""
        if now_ms < self._banned_until[ip]:
            self.refused["banned"] += 1
            return False
        window = self._addresses.get(ip)
        if window is None:
            window = self._addresses[ip] = Window(self.rules.ip_requests, self.rules.ip_window_ms)
        if window.take(now_ms):
            return True
        self.ban(ip, now_ms + self.rules.ban_ms)
        self.refused["banned"] += 1
        return False

    def ban(self, ip: str, until_ms: int) -> None:
        """Lock an address out until a moment."""
        self._banned_until[ip] = max(self._banned_until[ip], until_ms)

    def connect(self, ip: str, now_ms: int) -> bool:
        """Count a new stream connection of an address; False = refuse it."""
        return self._counted(
            self._connects, ip, now_ms, self.rules.connects, self.rules.connect_window_ms, "connect"
        )

    def trade(self, ip: str, now_ms: int) -> bool:
        """Count an order-entry request of an address; False = refuse with 10403."""
        return self._counted(
            self._trades, ip, now_ms, self.rules.trade_requests_s, SECOND_MS, "trade"
        )

    def _counted(
        self, where: dict[str, Window], ip: str, now_ms: int, limit: int, length_ms: int, name: str
    ) -> bool:
        window = where.get(ip)
        if window is None:
            window = where[ip] = Window(limit, length_ms)
        if window.take(now_ms):
            return True
        self.refused[name] += 1
        return False
