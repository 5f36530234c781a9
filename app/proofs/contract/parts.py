"""What a face gives a bench, and a client made of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import numpy as np

from app.proofs.contract.case import Need
from live.clock import Clock
from live.venues.bybit.budgets import RequestBudget
from live.venues.bybit.clock_offset import VenueClock
from live.venues.bybit.frames import Connect
from live.venues.bybit.gate import Gate
from live.venues.bybit.private_stream import BybitPrivateStream
from live.venues.bybit.signer import Signer
from live.venues.bybit.trade_stream import TradeStream
from live.venues.bybit.trading import BybitTrading
from live.venues.bybit.transport import Transport


class Controls(Protocol):
    """What a simulator lets its tester do."""

    def price(self, symbol: str, value: Decimal) -> None:
        """Let the market trade at a price from now on."""
        ...

    def prints(self, symbol: str, price: Decimal, qty: Decimal, taker: str) -> None:
        """Let a quantity trade at a price, beyond what stands in front of the user's orders."""
        ...

    def fund(self, symbol: str, rate: Decimal) -> None:
        """Settle a funding instant now."""
        ...

    def arm(self, kind: str, **more: Any) -> None:
        """Arm a fault."""
        ...

    def calm(self) -> None:
        """Disarm what has not fired."""
        ...

    def expired_key(self) -> tuple[str, str]:
        """Return a key of this account that has expired."""
        ...

    def human(self, action: str, symbol: str) -> None:
        """Let the account's owner act at the venue's own screen."""
        ...

    def truth(self) -> dict[str, Any]:
        """Return everything of the account as it is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a face gives a bench. `wait` lets time pass, by jumping where it can."""

    name: str
    symbol: str
    api_key: str
    secret: str
    clock: Clock
    transport: Callable[[], Transport]
    connect: Connect
    ws_url: str
    offers: frozenset[Need]
    wait: Callable[[float], Awaitable[None]]
    seed: int = 0
    controls: Controls | None = None


class Client:
    """A client of its own for a key: gate, budgets and clock are not shared with another."""

    def __init__(self, parts: Parts, api_key: str, secret: str, *, clock: Clock | None = None):
        self.clock = clock or parts.clock
        rng = np.random.default_rng([parts.seed, 0xC0])
        self.budget = RequestBudget(self.clock)
        self.gate = Gate(parts.transport(), self.budget, VenueClock(self.clock), self.clock, rng)
        signer = Signer(api_key, secret)
        common: dict[str, Any] = {
            "connections": self.budget.connections,
            "connect": parts.connect,
        }
        self.private = BybitPrivateStream(
            parts.ws_url,
            signer,
            self.gate.venue_clock,
            self.clock,
            rng,
            sync_clock=self.gate.sync_clock,
            **common,
        )
        self.venue = BybitTrading(
            self.gate, signer, user=api_key, on_accepted=self.private.expect_data
        )
        self.order_stream: TradeStream | None = None
        self.by_stream: BybitTrading | None = None
        if Need.ORDER_STREAM in parts.offers:
            self.order_stream = TradeStream(
                parts.ws_url, signer, self.gate, self.clock, rng, **common
            )
            self.by_stream = BybitTrading(
                self.gate, signer, user=api_key, stream=self.order_stream,
                on_accepted=self.private.expect_data,
            )  # fmt: skip

    async def close(self) -> None:
        """End everything."""
        await self.private.close()
        if self.order_stream is not None:
            await self.order_stream.close()
        await self.gate.close()
