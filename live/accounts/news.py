"""What the account's feed tells, as messages for the engine: in order, executions exactly once."""

from collections.abc import Callable

from engine.account import messages as m
from engine.venue.view import AccountView, News
from live.clock import Clock
from live.venues.trading import StreamDown

OVERLAP_MS = 60_000
EXECUTIONS_TOLD = 500  # of a reading: the ledger knows what is older


class NewsDesk:
    """Turns one account's news into messages.

    Parameters
    ----------
    put : callable
        Takes the messages.
    margin_mode : callable
        The account's margin mode as last read; "" = not known.
    """

    def __init__(
        self,
        view: AccountView,
        clock: Clock,
        put: Callable[[m.Message], object],
        margin_mode: Callable[[], str],
    ) -> None:
        self.up: Callable[[], bool] = lambda: True
        self._view = view
        self._clock = clock
        self._put = put
        self._margin_mode = margin_mode

    def on_news(self, news: News) -> None:
        """Pass on what changed: executions first, they are what the rest is measured by."""
        at = self._clock.now_ms()
        view = self._view
        for execution in news.executions:
            self._put(m.Executed(at_ms=at, execution=execution))
        for order_id in news.orders:
            order = view.order(order_id)
            if order is not None:
                self._put(m.OrderSeen(at_ms=at, order=order))
        for key in news.positions:
            position = view.position(*key)
            if position is not None:
                self._put(m.PositionSeen(at_ms=at, position=position))
        if news.wallet and view.wallet is not None:
            self._put(m.WalletSeen(at_ms=at, wallet=view.wallet))
        for link in news.absent:
            text = "it was taken in, and the venue proves not to have it"
            self._put(m.NotPlaced(at_ms=at, link_id=link, text=text))

    def on_down(self, down: StreamDown) -> None:
        """Pass on that the stream fell."""
        reason = down.reason or "the private stream is down"
        self._put(m.ViewLost(at_ms=self._clock.now_ms(), reason=reason, key_refused=down.fatal))

    def on_read(self) -> None:
        """Pass a whole reading on; while the stream is down it is true for a moment only."""
        at = self._clock.now_ms()
        self._put(self.reading())
        if not self.up():
            self._put(m.ViewLost(at_ms=at, reason="the private stream is down"))

    def reading(self) -> m.AccountRead:
        """Return the account as it is seen now."""
        view = self._view
        return m.AccountRead(
            at_ms=self._clock.now_ms(),
            positions=tuple(view.positions()),
            orders=tuple(view.open_orders()),
            wallet=view.wallet,
            executions=tuple(view.executions()[-EXECUTIONS_TOLD:]),
            margin_mode=self._margin_mode(),
            complete=not view.unread,
        )

    def again(self, since_ms: int) -> None:
        """Tell an engine that starts anew what the view knows; the ledger knows what it had."""
        at = self._clock.now_ms()
        for execution in self._view.executions():
            if execution.exec_time >= since_ms - OVERLAP_MS:
                self._put(m.Executed(at_ms=at, execution=execution))
        if not self._view.stale:
            self.on_read()
