"""What must hold when real processes have been struck: the venue's books against the store's."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from data.records.chain import verify_chain
from data.records.port import Store
from data.records.rows import TERMINAL, Stored
from engine.account.commands import PlaceOrder

_MOST = 1_000_000
_order = msgspec.json.Decoder(PlaceOrder).decode


@dataclass(slots=True)
class Books:
    """What was found, all users together."""

    entries: int = 0  # orders of entries at the venue
    filled: int = 0  # of them with a fill
    executions: int = 0
    duplicates: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)  # of verdicts


async def compare(store: Store, user_id: str, truth: dict[str, Any], books: Books) -> None:
    """Compare one account."""
    await _orders(store, user_id, truth, books)
    await _executions(store, user_id, truth, books)
    await _rest(store, user_id, books)


async def _orders(store: Store, user_id: str, truth: dict[str, Any], books: Books) -> None:
    """No order twice, none that was not written down before, one entry a signal."""
    links = Counter(o["orderLinkId"] for o in truth["orders"] if o["orderLinkId"])
    books.duplicates += [f"order {link} {n} times" for link, n in links.items() if n > 1]
    wanted: dict[str, Decimal] = defaultdict(Decimal)  # by signal: the largest entry written
    entered: dict[str, list[Decimal]] = defaultdict(list)
    written = set()
    there = {o["orderLinkId"]: o for o in truth["orders"]}
    for trade in await _all(store.trades(user_id, _MOST)):
        for row in await _all(store.intents(user_id, trade.trade_id)):
            written.add(row.link_id)
            if row.leg != "entry":
                continue
            wanted[row.signal_id] = max(wanted[row.signal_id], _order(row.body).qty)
            if row.link_id in there:
                books.entries += 1
                entered[row.signal_id].append(Decimal(there[row.link_id]["cumExecQty"]))
    for signal, fills in entered.items():
        books.filled += any(fills)
        if sum(fills) > wanted[signal]:
            books.duplicates.append(f"{signal}: {sum(fills)} bought, {wanted[signal]} wanted")
    books.wrong += [f"order {link} was never written" for link in links if link not in written]


async def _executions(store: Store, user_id: str, truth: dict[str, Any], books: Books) -> None:
    rows = await _all(store.executions(user_id, 0, _MOST))
    here = Counter(row.exec_id for row in rows)
    books.duplicates += [f"execution {e} {n} times" for e, n in here.items() if n > 1]
    real = {e["execId"]: e for e in truth["executions"]}
    books.executions += len(real)
    books.lost += sorted(real.keys() - here.keys())
    books.wrong += [f"execution {e} is not the venue's" for e in sorted(here.keys() - real.keys())]
    for row in rows:
        if row.exec_id not in real:
            continue
        e = real[row.exec_id]
        if (row.qty, row.price, row.fee) != tuple(
            Decimal(e[name]) for name in ("execQty", "execPrice", "execFee")
        ):
            books.wrong.append(f"execution {row.exec_id} differs from the venue's")


async def _rest(store: Store, user_id: str, books: Books) -> None:
    """Nothing is left unknown; the chain holds."""
    stored = await store.load(user_id)
    if not isinstance(stored, Stored):
        books.wrong.append(f"the account cannot be loaded: {stored}")
        return
    books.wrong += [
        f"{row.leg} {row.link_id} is left {row.state}"
        for row in stored.intents
        if row.state != "placed" and row.state not in TERMINAL
    ]
    rows = await _all(store.audit(user_id, 0, _MOST))
    broken = verify_chain(rows, user_id=user_id, head=(stored.audit_seq, stored.audit_hash))
    if broken is not None:
        books.wrong.append(f"the chain: {broken.reason}")
    for verdict in await _all(store.verdicts(user_id, _MOST)):
        books.reasons[verdict.reason] += 1


async def _all(asked: Any) -> Any:
    found = await asked
    if hasattr(found, "reason") and hasattr(found, "kind"):
        raise RuntimeError(f"the store does not answer: {found.reason}")
    return found
