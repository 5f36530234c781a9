"""The judge: what must hold after every event of the venue, every commit, and in the end.

It looks at the venue's own books, at what was committed, and at what left which process. What it
may demand hangs on reach: nobody can protect an account whose venue does not answer.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.proofs.drill import judge_end, judge_entry, judge_stops
from app.proofs.drill.judged import Intent, now
from app.proofs.drill.loop import Life
from app.proofs.drill.venue import REACH_S
from data.records.rows import TERMINAL, Commit, Committed, OutboxRow, Unavailable
from engine.account.commands import (
    AlertRecord,
    AuditRecord,
    DayRecord,
    ExecutionRecord,
    PlaceOrder,
    TradeRecord,
    VerdictRecord,
)
from engine.venue.exchange.events import Event, Executed, OrderChanged, PositionChanged

World = Any  # it stands above this file


_SHOWN = 12
_read_order = msgspec.json.Decoder(PlaceOrder).decode


def _midnight_after(day: str, zone: str) -> int:
    """Return when a day is over where the user lives."""
    begins = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), ZoneInfo(zone))
    return int(begins.timestamp() * 1000)


class Judge:
    """Of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[tuple[str, str]] = []
        self.intents: dict[str, Intent] = {}
        self.verdicts: dict[tuple[int, str], VerdictRecord] = {}
        self.trades: dict[tuple[int, str], TradeRecord] = {}
        self.days: dict[int, dict[str, tuple[int, DayRecord]]] = defaultdict(dict)
        self.alerts: dict[tuple[str, str], int] = {}
        self.told_by: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self.epochs: dict[str, int] = {}
        self.acts: list[tuple[float, int, str]] = []  # what people and the venue did, by user
        self.edited: set[int] = set()
        self.was_restored = False
        self.asked: Counter[tuple[int, str, str]] = Counter()
        self.naked_longest_s = 0.0
        self.written = hashlib.blake2b(digest_size=16)
        self.commits = 0
        self.moved = ""
        self.naked: dict[tuple[int, str], float] = {}
        self.killed_s: dict[str, float] = {}
        self.stops: dict[tuple[int, str], Decimal] = {}  # where each position's stop was last
        self.cum: dict[str, Decimal] = {}
        self.user_of = {}
        world.office.arriving = self.arriving
        world.office.arrived = self.arrived
        world.office.known_executions = self._known_executions
        self.known: dict[int, set[str]] = defaultdict(set)

    # ------------------------------------------------------------------ findings

    def found(self, invariant: str, detail: str) -> None:
        """Note a violation."""
        if len(self.violations) < _SHOWN and (invariant, detail) not in self.violations:
            self.violations.append((invariant, detail))
            self.world.tell(f"VIOLATION {invariant}: {detail}")

    def befell(self, user: int, what: str) -> None:
        """Know what people, or the venue by itself, did to an account."""
        self.acts.append((self.world.now_s, user, what))

    def lately(self, user: int, *kinds: str, within_s: float = 1e9) -> bool:
        """Tell whether one of these befell a user lately."""
        begin_s = self.world.now_s - within_s
        return any(s >= begin_s and n == user and what in kinds for s, n, what in self.acts)

    def number(self, uid: int) -> int:
        """Return a user's number by the venue's id."""
        if not self.user_of:
            self.user_of = {key.uid: n for n, key in self.world.office.keys.items()}
        return self.user_of.get(uid, -1)

    def account(self, user: int) -> Any:
        """Return a user's account at the venue."""
        return self.world.desk.exchange.account(self.world.office.keys[user].uid)

    def reach_s(self, user: int) -> float:
        """Return for how long a user has been in reach: processes well, venue answering."""
        world = self.world
        now_s = world.now_s
        if now_s - world.office.answered_s.get(user, -1e9) > REACH_S:
            return 0.0
        runs = [p for p in world.alive if p.life.runs and not p.draining]
        if not runs:
            return 0.0
        office = world.office
        return now_s - max(office.troubled_s.get(user, 0.0), office.reached_s.get(user, 0.0))

    def calm_s(self, user: int, at_ms: int | None = None) -> float:
        """Return for how long nothing had troubled a user, at a moment (now)."""
        world = self.world
        at_s = world.now_s if at_ms is None else (at_ms - world.clock.now_ms()) / 1000 + world.now_s
        last = [s for s in world.troubles[user] if s <= at_s + 1.0]
        return at_s - (max(last) if last else 0.0)

    # ------------------------------------------------------------------ the venue

    def on_events(self, events: list[Event]) -> None:
        """Look at what one step of the venue brought."""
        for event in events:
            if isinstance(event, OrderChanged):
                order = event.order
                if self.world.telling and not order.order_status.is_open:
                    user, name = self.number(event.uid), order.order_link_id
                    name = name or order.stop_order_type.value
                    self.world.tell(
                        f"u{user} {order.symbol} {name} {order.order_status.value} "
                        f"{order.cum_exec_qty}"
                    )
                if order.cum_exec_qty < self.cum.get(order.order_id, Decimal(0)):
                    self.found("I11", f"{order.order_link_id}: the filled quantity fell")
                self.cum[order.order_id] = order.cum_exec_qty
            elif isinstance(event, PositionChanged):
                user = self.number(event.uid)
                if user >= 0:
                    judge_stops.position(self, user, event.position)
            elif isinstance(event, Executed) and self.world.telling:
                e, user = event.execution, self.number(event.uid)
                self.world.tell(
                    f"u{user} {e.symbol} {e.exec_type.value} {e.side.value} "
                    f"{e.exec_qty} at {e.exec_price}"
                )

    def arriving(self, user: int, path: str, params: Mapping[str, Any]) -> None:
        """Look at a request that acts, the moment before it does."""
        if path.endswith("/order/create"):
            judge_entry.create(self, user, params)
        elif path.endswith("/trading-stop"):
            judge_stops.moving(self, user, params)

    def arrived(self, user: int, path: str, params: Mapping[str, Any], said: Any) -> None:
        """Look at what the venue made of it."""
        if self.world.telling:
            wish = {k: v for k, v in params.items() if k != "category"}
            self.world.tell(
                f"u{user} {path} {wish}: {said.code} {said.message if said.code else ''}"
            )
        if said.code:
            judge_entry.refused(self, user, path, params, said)

    def _known_executions(self, user: int) -> set[str]:
        return self.known[user]

    # ------------------------------------------------------------------ the store

    def committed(self, commit: Commit, outcome: Committed, life: Life) -> None:
        """Look at a commit that the store took."""
        self.commits += 1
        self.written.update(f"{commit.user_id} {outcome.version} {commit.state_hash}\n".encode())
        user = self.world.number_of[commit.user_id]
        if commit.epoch < self.epochs.get(commit.user_id, 0):
            self.found("I10", f"epoch {commit.epoch} of {life.name} wrote after a newer one")
        self.epochs[commit.user_id] = max(commit.epoch, self.epochs.get(commit.user_id, 0))
        if outcome.version != commit.version + 1 and not self.was_restored:
            self.found("I10", f"version {outcome.version} after {commit.version}")
        for row in commit.intents:
            if row.user_id != commit.user_id:
                self.found("I6", f"{row.link_id} in another user's commit")
            old = self.intents.get(row.link_id)
            order = old.order if old is not None else _read_order(row.body)
            at_ms = old.at_ms if old is not None else self.world.clock.now_ms()
            last = old.last if old is not None else self.world.desk.tape.quote(row.symbol)
            self.intents[row.link_id] = Intent(user, row, order, at_ms, last)
        if self.world.telling:
            for record in commit.records:
                if isinstance(record, VerdictRecord):
                    self.world.tell(
                        f"u{user} {record.signal_id}: {record.reason} {record.value} {record.limit}"
                    )
        self._records(commit, user)

    def _records(self, commit: Commit, user: int) -> None:
        audited = any(isinstance(r, AuditRecord) for r in commit.records)
        moved = False
        for record in commit.records:
            if isinstance(record, VerdictRecord):
                judge_entry.verdict(self, user, record, commit.at_ms)
            elif isinstance(record, TradeRecord):
                moved = judge_entry.trade(self, user, record) or moved
            elif isinstance(record, AlertRecord):
                self.alerts.setdefault((commit.user_id, record.event_id), len(self.alerts))
            elif isinstance(record, DayRecord):
                self._day(user, record)
            elif isinstance(record, ExecutionRecord):
                self.known[user].add(record.exec_id)
        if moved and not audited:
            kinds = sorted({type(r).__name__ for r in commit.records})
            self.found("I8", f"user {user}: {self.moved} without an audit row ({', '.join(kinds)})")

    def _day(self, user: int, record: DayRecord) -> None:
        zone = self.world.first_settings[self.world.users[user]].timezone
        ends = _midnight_after(record.day, zone)
        if record.resets_ms != ends:
            self.found("I5", f"user {user}: {record.day} ends at {record.resets_ms}, not at {ends}")
        old = self.days[user].get(record.day)
        since = old[0] if old is not None and old[1].halted else self.world.clock.now_ms()
        if old is not None and old[1].halted and not record.halted and not self.was_restored:
            self.found("I5", f"user {user}: the halt of {record.day} was taken back")
        self.days[user][record.day] = (since, record)

    def told(self, row: OutboxRow, life: Life) -> None:
        """Look at a notification that was delivered."""
        key = (row.user_id, row.event_id)
        if key not in self.alerts and not row.event_id.startswith(("kill", "settings")):
            self.found("I15", f"{row.event_id} was told and never written")
        self.told_by[key][life.name] += 1
        if self.told_by[key][life.name] > 1:
            self.found("I15", f"{row.event_id} was told twice by {life.name}")

    def restored(self) -> None:
        """Know that the store went back in time."""
        self.was_restored = True
        self.epochs.clear()

    def edit_row(self, user: int) -> bool:
        """Change a row of the audit chain by hand."""
        books: Any = getattr(self.world.store, "_books", None)
        chain = books[self.world.users[user]].audit if books is not None else []
        if len(chain) < 3:  # noqa: PLR2004 - not at the very edge
            return False
        chain[1] = msgspec.structs.replace(chain[1], actor="nobody")
        self.edited.add(user)
        return True

    # ------------------------------------------------------------------ from time to time

    def look(self) -> None:
        """Look at what should not last."""
        judge_stops.look(self)
        rows = now(self.world.store.users())
        if not isinstance(rows, Unavailable):
            killed = {row.user_id for row in rows if row.killed}
            platform = now(self.world.store.platform_kill())
            if not isinstance(platform, Unavailable) and platform[0]:
                killed.add("")
            for user_id in killed:
                self.killed_s.setdefault(user_id, self.world.now_s)
            for user_id in [u for u in self.killed_s if u not in killed]:
                del self.killed_s[user_id]
        for wanted in self.world.wanted:
            for n, user_id in enumerate(self.world.users):
                if (n, wanted.signal.signal_id) in self.verdicts:
                    wanted.known.add(user_id)

    def settled(self) -> bool:
        """Tell whether nothing is open that must be settled."""
        rows = [i.row for i in self.intents.values()]
        return not any(r.state not in TERMINAL and r.state != "placed" for r in rows)

    def at_the_end(self) -> None:
        """Compare all books."""
        judge_end.look(self)
