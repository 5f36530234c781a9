"""The ledger proof: a storm of trades, funding and liquidations, recomputed to the last digit.

Every world is a fresh exchange with accounts of every kind (one-way and hedge, isolated and cross,
maker and taker) that trade at random on coins that jump. Each execution is booked once more by
`ledger_twin` as it happens, and whole accounts are compared at the end.
"""

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from app.proofs import ledger_twin
from engine.venue.exchange import commands
from engine.venue.exchange.events import Accepted, Executed, Liquidated, Refused
from engine.venue.exchange.machine import Exchange
from engine.venue.instrument import Instrument, RiskTier
from engine.venue.words import (
    MarginMode,
    OrderType,
    PositionMode,
    Side,
    TimeInForce,
    TpslMode,
)

START_MS = 1_750_000_000_000
FUNDING_STEPS = 400  # prices between two funding instants of a coin
_FAULTS_MAX = 20  # kept of one world; one is enough to fail


@dataclass(slots=True)
class LedgerResult:
    """What the storm came to."""

    executions: int = 0
    worlds: int = 0
    commands: int = 0
    refused: int = 0
    kinds: Counter[str] = field(default_factory=Counter)  # executions by execType
    accounts: int = 0
    liquidations: int = 0
    values: int = 0  # figures compared
    faults: list[str] = field(default_factory=list)

    def add(self, other: "LedgerResult") -> None:
        """Take another world's counts in."""
        self.executions += other.executions
        self.worlds += other.worlds
        self.commands += other.commands
        self.refused += other.refused
        self.kinds.update(other.kinds)
        self.accounts += other.accounts
        self.liquidations += other.liquidations
        self.values += other.values
        self.faults += other.faults

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "executions": self.executions,
            "by_type": dict(sorted(self.kinds.items())),
            "accounts": self.accounts,
            "liquidations": self.liquidations,
            "worlds": self.worlds,
            "commands": self.commands,
            "refused": self.refused,
            "values_compared": self.values,
            "differences": len(self.faults),
            "first_difference": self.faults[0] if self.faults else None,
        }


def _instrument(symbol: str, tick: str, step: str, leverage: int) -> Instrument:
    tiers = tuple(
        RiskTier(n + 1, Decimal(limit), Decimal(rate), Decimal(cut), Decimal(top))
        for n, (limit, rate, cut, top) in enumerate(
            [
                (20_000, "0.01", 0, leverage),
                (60_000, "0.02", 200, leverage // 2),
                (5_000_000, "0.05", 2_000, 5),
            ]
        )
    )
    return Instrument(
        symbol=symbol,
        tick_size=Decimal(tick),
        qty_step=Decimal(step),
        min_order_qty=Decimal(step),
        max_order_qty=Decimal(10_000_000),
        max_mkt_order_qty=Decimal(5_000_000),
        leverage_max=Decimal(leverage),
        tiers=tiers,
    )


COINS = (
    (_instrument("AAAUSDT", "0.1", "0.001", 50), Decimal("27123.4")),
    (_instrument("BBBUSDT", "0.0001", "1", 25), Decimal("1.7321")),
    (_instrument("CCCUSDT", "0.0000001", "100", 20), Decimal("0.0031416")),
)


class Storm:
    """One world of the proof."""

    def __init__(self, seed: int, accounts: int = 24) -> None:
        self.rng = np.random.default_rng(seed)
        self.exchange = Exchange(seed)
        self.twins: dict[int, ledger_twin.Twin] = {}
        self.result = LedgerResult(worlds=1, accounts=accounts)
        self.now_ms = START_MS
        self.prices = {coin.symbol: price for coin, price in COINS}
        self.coins = {coin.symbol: coin for coin, _ in COINS}
        for coin, _ in COINS:
            self.step(commands.ListInstrument(instrument=coin))
            self._reprice(coin.symbol, 0.0)
        for uid in range(1, accounts + 1):
            self._open(uid)

    def _open(self, uid: int) -> None:
        equity = Decimal(int(self.rng.integers(200, 40_000)))
        mode = MarginMode.CROSS if uid % 3 == 0 else MarginMode.ISOLATED
        self.twins[uid] = ledger_twin.Twin()
        self.twins[uid].transfer(equity)
        self.step(
            commands.OpenAccount(
                uid=uid,
                equity=equity,
                margin_mode=mode,
                maker_fee_rate=Decimal("0.0002") if uid % 2 else Decimal("-0.00005"),
            )
        )
        if uid % 4 == 0:
            self.step(commands.SwitchMode(uid=uid, mode=PositionMode.HEDGE, coin="USDT"))
        for symbol in self.coins:
            leverage = Decimal(int(self.rng.integers(1, 26)))
            self.step(
                commands.SetLeverage(
                    uid=uid, symbol=symbol, buy_leverage=leverage, sell_leverage=leverage
                )
            )

    # ------------------------------------------------------------------ one thing happens

    def step(self, command: commands.Command) -> list[Any]:
        """Let it happen, and book what came of it a second time."""
        events = self.exchange.step(command, self.now_ms)
        self.result.commands += 1
        for event in events:
            if isinstance(event, Executed):
                self.result.executions += 1
                self.result.kinds[event.execution.exec_type.value] += 1
                self.result.values += 4
                found = ledger_twin.check_execution(self.twins[event.uid], event.execution)
                self._complain(found)
            elif isinstance(event, Refused):
                self.result.refused += 1
            elif isinstance(event, Liquidated):
                self.result.liquidations += 1
        return events

    def _complain(self, found: list[str]) -> None:
        if found and len(self.result.faults) < _FAULTS_MAX:
            self.result.faults += found

    def _reprice(self, symbol: str, move: float) -> None:
        coin = self.coins[symbol]
        factor = Decimal(repr(float(np.exp(move))))
        last = max(coin.floor_price(self.prices[symbol] * factor), coin.tick_size * 50)
        self.prices[symbol] = last
        mark = coin.floor_price(last * Decimal(repr(float(1 + self.rng.normal() * 3e-4))))
        self.step(commands.Price(symbol=symbol, last=last, mark=mark, index=mark))

    # ------------------------------------------------------------------ the workload

    def run(self, executions: int) -> LedgerResult:
        """Trade until so many executions are booked; compare everything at the end."""
        turn = 0
        while self.result.executions < executions:
            turn += 1
            self.now_ms += int(self.rng.integers(50, 5_000))
            symbol = COINS[turn % len(COINS)][0].symbol
            jump = 0.08 if self.rng.random() < 0.004 else 0.002
            self._reprice(symbol, float(self.rng.normal()) * jump)
            for _ in range(int(self.rng.integers(1, 6))):
                self._act(int(self.rng.integers(1, len(self.twins) + 1)), symbol)
            if turn % FUNDING_STEPS == 0:
                for name in self.coins:
                    rate = Decimal(repr(round(float(self.rng.normal()) * 5e-4, 8)))
                    self.step(commands.Funding(symbol=name, rate=rate))
        for uid, twin in self.twins.items():
            account = self.exchange.account(uid)
            self.result.values += len(account.log) * 2 + len(account.closed_pnl) * 7
            self._complain(ledger_twin.check_log(account.log))
            self._complain(ledger_twin.check_account(twin, account))
        return self.result

    def _act(self, uid: int, symbol: str) -> None:
        dice = self.rng.random()
        if dice < 0.02:
            self._transfer(uid)
        elif dice < 0.06:
            self.step(commands.CancelAll(uid=uid, symbol=symbol, order_filter="Order"))
        elif dice < 0.10:
            self._protect(uid, symbol)
        elif dice < 0.11:
            self._deleverage(uid, symbol)
        else:
            self._order(uid, symbol)

    def _transfer(self, uid: int) -> None:
        poor = self.exchange.account(uid).wallet.wallet_balance < 100
        size = 2_000 if poor else int(self.rng.integers(-40, 200))
        amount = Decimal(size) + Decimal(int(self.rng.integers(0, 100))) / 100
        events = self.step(commands.Transfer(uid=uid, amount=amount))
        if events and isinstance(events[0], Accepted):
            self.twins[uid].transfer(amount)

    def _protect(self, uid: int, symbol: str) -> None:
        last, coin = self.prices[symbol], self.coins[symbol]
        distance = coin.floor_price(last * Decimal("0.01")) + coin.tick_size
        self.step(
            commands.SetTradingStop(
                uid=uid,
                symbol=symbol,
                tpsl_mode=TpslMode.FULL,
                position_idx=self._index(uid, Side.BUY),
                trailing_stop=distance,
            )
        )

    def _deleverage(self, uid: int, symbol: str) -> None:
        for position in self.exchange.account(uid).positions.values():
            if position.symbol == symbol and position.is_open:
                qty = max(self.coins[symbol].floor_qty(position.size / 3), Decimal(0))
                if qty:
                    self.step(
                        commands.Deleverage(
                            uid=uid,
                            symbol=symbol,
                            qty=qty,
                            price=self.prices[symbol],
                            position_idx=position.position_idx,
                        )
                    )
                return

    def _index(self, uid: int, side: Side) -> int:
        if uid % 4:
            return 0
        return 1 if side is Side.BUY else 2

    def _order(self, uid: int, symbol: str) -> None:
        coin, last = self.coins[symbol], self.prices[symbol]
        side = Side.BUY if self.rng.random() < 0.5 else Side.SELL
        wealth = max(float(self.exchange.account(uid).wallet.wallet_balance), 50.0)
        usdt = Decimal(int(wealth * float(self.rng.uniform(0.02, 2.5))) + 6)
        qty = max(coin.floor_qty(usdt / last), coin.min_order_qty)
        reduce_only = bool(self.rng.random() < 0.25)
        held = side.other if reduce_only else side
        common: dict[str, Any] = {
            "uid": uid,
            "symbol": symbol,
            "side": side,
            "qty": qty,
            "position_idx": self._index(uid, held),
            "reduce_only": reduce_only,
        }
        if self.rng.random() < 0.6:
            if not reduce_only and self.rng.random() < 0.3:
                distance = last * Decimal("0.01") * side.sign
                common["stop_loss"] = coin.floor_price(last - distance)
                common["take_profit"] = coin.floor_price(last + distance)
                common["tpsl_mode"] = TpslMode.FULL
            self.step(commands.CreateOrder(order_type=OrderType.MARKET, **common))
            return
        offset = Decimal(repr(round(float(self.rng.normal()) * 0.002, 6)))
        force = (TimeInForce.GTC, TimeInForce.POST_ONLY, TimeInForce.IOC, TimeInForce.FOK)
        self.step(
            commands.CreateOrder(
                order_type=OrderType.LIMIT,
                price=coin.floor_price(last * (1 + offset)),
                time_in_force=force[int(self.rng.choice(4, p=[0.6, 0.2, 0.1, 0.1]))],
                **common,
            )
        )


def _world(job: tuple[int, int]) -> LedgerResult:
    seed, executions = job
    return Storm(seed).run(executions)


def worlds(executions: int, seed: int, *, each: int = 20_000) -> Iterator[tuple[int, int]]:
    """Yield (seed, executions) of as many worlds as it takes."""
    left = executions
    while left > 0:
        yield seed, min(each, left)
        left -= each
        seed += 1


def prove(executions: int, seed: int, *, processes: int = 1, told: Any = None) -> LedgerResult:
    """Run worlds until so many executions were booked twice.

    Parameters
    ----------
    told : callable, optional
        Called with a world's executions when it is done.
    """
    total = LedgerResult()
    jobs = list(worlds(executions, seed))
    if processes == 1:
        done: Any = map(_world, jobs)
        return _sum(done, total, told)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return _sum(pool.imap(_world, jobs), total, told)


def _sum(done: Any, total: LedgerResult, told: Any) -> LedgerResult:
    for result in done:
        total.add(result)
        if told is not None:
            told(result.executions)
    return total
