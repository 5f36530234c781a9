"""One user's life over a replayed market: `decide` told what it would have been told.

At a bar's closing: the market moves to the first price of the next bar (what the account's streams
say of it is answered trade by trade), then the regime, ends of setups, the breakouts, the closed
bars of coins held, the time: the rank in which a live engine's inbox is read. Messages are taken in
order, and what is decided is carried out before the next is taken.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from engine.account import commands as c
from engine.account import messages as m
from engine.account.settings import UserSettings
from engine.account.signal import Signal
from engine.errors import PromiseBroken
from research.portfolio_desk import AccountDesk
from research.portfolio_market import Moment

SWEEP_USDT = 1_000.0  # what the market layer measures its sweeps for
_MESSAGES_MAX = 10_000  # of one moment: a decision that answers itself would never end


class Decided(Protocol):
    """What `decide` returns."""

    @property
    def state(self) -> Any: ...  # noqa: D102
    @property
    def commands(self) -> tuple[c.AnyCommand, ...]: ...  # noqa: D102
    @property
    def records(self) -> tuple[c.AnyRecord, ...]: ...  # noqa: D102


Decide = Callable[[Any, Any, UserSettings], Decided]


@dataclass(slots=True)
class Life:
    """What became of one user.

    Attributes
    ----------
    records : list of (at_ms, record)
        Everything that `decide` wrote down, in order.
    marks : list of (at_ms, equity, wallet, positions)
        At every closing while something was held, and at the edges.
    messages : int
        How many were decided on.
    signals : dict
        By id, as they were told, with their quotes.
    """

    state: Any
    records: list[tuple[int, c.AnyRecord]] = field(default_factory=list)
    marks: list[tuple[int, Decimal, Decimal, int]] = field(default_factory=list)
    messages: int = 0
    signals: dict[str, Signal] = field(default_factory=dict)


class Player:
    """Leads one user through a history.

    Parameters
    ----------
    decide : callable
    state : AccountState
        Of a user who never traded.
    settings : UserSettings
    desk : AccountDesk
    """

    def __init__(
        self, decide: Decide, state: Any, settings: UserSettings, desk: AccountDesk
    ) -> None:
        self.life = Life(state)
        self._decide = decide
        self._settings = settings
        self._desk = desk
        self._step_ms = desk.replay.interval_ms

    def play(self, told: Mapping[int, Moment], end_ms: int) -> Life:
        """Live through every moment up to `end_ms`; time between is leapt over when idle."""
        desk, step = self._desk, self._step_ms
        self._begin()
        ahead = sorted(t for t in told if t <= end_ms)
        at = 0
        while True:
            due = ahead[at] if at < len(ahead) else end_ms
            now = min(due, desk.now_ms - desk.now_ms % step + step) if desk.busy else due
            desk.advance(now, self._react)
            moment = told.get(now)
            if moment is not None and at < len(ahead) and ahead[at] == now:
                at += 1
            self._closing(now, moment or Moment())
            self._mark()
            if now >= end_ms:
                return self.life

    # ------------------------------------------------------------------ moments

    def _begin(self) -> None:
        desk = self._desk
        desk.inbox.append(m.EntriesAllowed(at_ms=desk.now_ms, allowed=True))
        desk.inbox.append(desk.read())
        self._react()
        self._mark()

    def _closing(self, now_ms: int, moment: Moment) -> None:
        desk = self._desk
        held = desk.held()
        if moment.regime is not None:
            self._hear(msgspec.structs.replace(moment.regime, at_ms=now_ms))
        for end in moment.ends:
            if end.symbol in held:
                self._hear(m.SignalEnded(at_ms=now_ms, end=end))
        for signal in moment.signals:
            quote = desk.quote(signal.symbol, SWEEP_USDT)
            contract = desk.listings[signal.symbol].instrument
            known = msgspec.structs.replace(signal, quote=quote)
            self.life.signals[signal.signal_id] = known
            self._hear(m.SignalHeard(at_ms=now_ms, signal=known, contract=contract, quote=quote))
        for symbol in held:
            bar = self._bar(symbol, now_ms)
            if bar is not None:
                self._hear(bar)
        if held or moment.signals:
            self._hear(m.Tick(at_ms=now_ms))

    def _bar(self, symbol: str, now_ms: int) -> m.BarClosed | None:
        ts = now_ms - self._step_ms
        replay = self._desk.replay
        at = replay.index(symbol, ts)
        if at is None:
            return None
        open_, high, low, close, _, _ = replay.values(symbol, at)
        return m.BarClosed(
            at_ms=now_ms,
            symbol=symbol,
            interval_ms=self._step_ms,
            ts=ts,
            open=open_,
            high=high,
            low=low,
            close=close,
            quote=self._desk.quote(symbol, SWEEP_USDT),
        )

    # ------------------------------------------------------------------ deciding

    def _hear(self, message: m.Message) -> None:
        self._desk.inbox.append(message)
        self._react()

    def _react(self) -> None:
        inbox, life = self._desk.inbox, self.life
        taken = 0
        while inbox:
            message = inbox.popleft()
            taken += 1
            if taken > _MESSAGES_MAX:
                raise PromiseBroken(
                    f"more than {_MESSAGES_MAX:,} messages in one moment",
                    why=f"the last is a {type(message).__name__}: a decision answers itself",
                )
            decision = self._decide(life.state, message, self._settings)
            life.state = decision.state
            life.records += [(message.at_ms, record) for record in decision.records]
            for command in decision.commands:
                self._desk.carry(command)
        life.messages += taken

    def _mark(self) -> None:
        desk, marks = self._desk, self.life.marks
        equity = desk.equity()
        wallet = desk.account.wallet.wallet_balance
        held = sum(p.is_open for p in desk.account.positions.values())
        row = (desk.now_ms, equity, wallet, held)
        if marks and marks[-1][0] == row[0]:
            marks[-1] = row
        else:
            marks.append(row)
