"""What every user may ask of the market, once for all of them: quotes, contracts, regime, signals.

Subscriptions follow the coins that are armed and the union of what users hold; their number and the
work go with coins, not with users.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np

from engine.account.messages import ContractSeen, QuoteSeen, RegimeSeen
from engine.account.signal import Quote, Signal
from engine.risk.regime import UNKNOWN, Regime, RegimeFacts, fallen_share, regime_at, step_regime
from engine.venue.instrument import Instrument
from live.bus import LocalBus
from live.clock import Clock
from live.market import topics
from live.market.contracts import Contracts
from live.market.funding import Funding
from live.market.interest import Interest
from live.market.quotes import Quotes
from live.market.signals import Teller
from live.venues.port import MarketStream, PublicRest

BTC = "BTCUSDT"
_KNOWN_MIN = 0.5  # of the universe: with less, its breadth says nothing
_ARMED = "market:armed"  # the detector's own hold


class DeskOptions(NamedTuple):
    """How often the desk looks, seconds."""

    beat_s: float = 1.0  # quotes of followed coins are told, broken topics asked for again
    regime_s: float = 10.0
    contracts_s: float = 300.0
    tiers_s: float = 3600.0


class Desk:
    """Everything of the market layer that faces users.

    Parameters
    ----------
    bus : LocalBus
        Where news goes; `live.market.topics` names it.
    clock : Clock
    stream : MarketStream or None
        None: no tickers and books; every quote is unknown then, and nobody enters.
    rest : PublicRest
    teller : Teller
        Judges which events users hear.
    venue_ms : callable
        The venue's clock now.
    note : callable (str)
    """

    def __init__(
        self,
        *,
        bus: LocalBus,
        clock: Clock,
        stream: MarketStream | None,
        rest: PublicRest,
        teller: Teller,
        venue_ms: Callable[[], int],
        note: Callable[[str], None],
        options: DeskOptions | None = None,
    ) -> None:
        self.options = options or DeskOptions()
        self.interest = Interest()
        self.contracts = Contracts(rest)
        self.teller = teller
        self.judged = Regime()
        self._facts = RegimeFacts(at_ms=0, fallen_share=None, btc_change_24h=None)
        self._regime_told = ""
        self._bus = bus
        self._clock = clock
        self._stream = stream
        self._venue_ms = venue_ms
        self._note = note
        self.quotes = Quotes(
            clock.monotonic_s,
            renew_ticker=lambda s: stream.renew_ticker(s) if stream is not None else None,
            renew_book=lambda s: stream.renew_book(s) if stream is not None else None,
            note=note,
        )
        self._universe: tuple[str, ...] = ()
        self._told: dict[str, tuple[int, bool]] = {}  # what the newest quote said: ts, stale
        self._tiers_wanted: set[str] = set()

    # ------------------------------------------------------------------ what users ask

    def hold(self, holder: str, symbols: Iterable[str]) -> None:
        """Say which coins a holder has at stake from now on, all of them; books are followed."""
        if self.interest.hold(holder, symbols):
            self._follow()

    def release(self, holder: str) -> None:
        """Let a holder have nothing at stake."""
        self.hold(holder, ())

    def quote(self, symbol: str, notional_usdt: float = 0.0) -> Quote | None:
        """Return the market of a coin; None = unknown. A stale one may be used by nobody."""
        return self.quotes.quote(symbol, self._venue_ms(), notional_usdt)

    def contract(self, symbol: str) -> Instrument | None:
        """Return a coin's rules as last read; None = not known."""
        return self.contracts.by_symbol.get(symbol)

    def funding(self, symbol: str) -> Funding | None:
        """Return a coin's funding calendar; None = unknown."""
        return self.quotes.funding(symbol, self._venue_ms())

    def regime(self) -> RegimeSeen:
        """Return the market's regime as it holds now; UNKNOWN while too little is heard."""
        now_ms = self._venue_ms()
        return RegimeSeen(
            at_ms=now_ms,
            regime=regime_at(self.judged, now_ms),
            breadth=self._facts.fallen_share,
            btc_change_24h=self._facts.btc_change_24h,
            since_ms=self.judged.since_ms,
        )

    def fresh_signals(self) -> tuple[Signal, ...]:
        """Return signals an engine that starts now may still act on."""
        return self.teller.fresh(self._venue_ms())

    # ------------------------------------------------------------------ what the service tells

    def watch(self, universe: Sequence[str]) -> None:
        """Say which coins are watched: their tickers are followed."""
        self._universe = tuple(universe)
        self._follow()

    def arm(self, symbols: Iterable[str]) -> None:
        """Say which coins may break out: their books are followed."""
        self.hold(_ARMED, symbols)

    def _follow(self) -> None:
        books = self.interest.symbols
        tickers = {*self._universe, *books}
        if self._leader() == BTC:
            tickers.add(BTC)
        self.quotes.follow(tickers, books)
        if self._stream is not None:
            self._stream.watch(tickers, books)
        self._tiers_wanted.update(s for s in books if not self._has_tiers(s))

    def _has_tiers(self, symbol: str) -> bool:
        contract = self.contract(symbol)
        return contract is not None and bool(contract.tiers)

    async def tell(self, events: np.ndarray, now_ms: int) -> None:
        """Tell users what these events of the detector mean for them."""
        for news in self.teller.take(events, now_ms):
            topic = topics.SIGNAL if isinstance(news, Signal) else topics.SIGNAL_END
            await self._bus.publish(topic, news)

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Read the contracts and begin to follow; returns at once afterwards."""
        await self._tell_contracts(await self.contracts.refresh())
        self._follow()
        if self.contracts.failure:
            self._note(f"the contracts cannot be read yet ({self.contracts.failure})")
        if self._stream is not None:
            await self._stream.start(self.quotes)

    async def close(self) -> None:
        """End the connections."""
        if self._stream is not None:
            await self._stream.close()

    async def keep_quotes(self) -> None:
        """Tell the quotes of followed coins, and ask again for what is broken, until cancelled."""
        while True:
            await self._clock.sleep(self.options.beat_s)
            self.quotes.heal()
            await self.tell_quotes()

    async def tell_quotes(self) -> None:
        """Tell what is new of the followed coins."""
        now_ms = self._venue_ms()
        if not self._bus.has_readers(topics.QUOTE):
            return
        for symbol in self.interest.symbols:
            quote = self.quotes.quote(symbol, now_ms)
            if quote is None or self._told.get(symbol) == (quote.ts, quote.stale):
                continue
            self._told[symbol] = (quote.ts, quote.stale)
            seen = QuoteSeen(at_ms=now_ms, symbol=symbol, quote=quote)
            await self._bus.publish(topics.QUOTE, seen)
        for symbol in [s for s in self._told if s not in self.interest]:
            del self._told[symbol]

    async def keep_regime(self) -> None:
        """Judge the regime now and then, until cancelled."""
        while True:
            await self._clock.sleep(self.options.regime_s)
            await self.judge_regime()

    async def judge_regime(self) -> None:
        """Judge the regime by the tickers, and tell a change."""
        known = self.quotes.tickers.by_symbol
        coins = [t for s in self._universe if (t := known.get(s)) is not None and t.whole]
        enough = len(coins) >= _KNOWN_MIN * len(self._universe)
        leader = known.get(self._leader())
        self._facts = RegimeFacts(
            at_ms=self._venue_ms(),
            fallen_share=fallen_share((t.last, t.high_24h) for t in coins) if enough else None,
            btc_change_24h=_finite(leader.change_24h) if leader and leader.whole else None,
        )
        self.judged = step_regime(self.judged, self._facts)
        seen = self.regime()
        if seen.regime != self._regime_told:
            if self._regime_told or seen.regime != UNKNOWN:
                self._note(f"the market's regime is {seen.regime} {self.judged.cause}".rstrip())
            self._regime_told = seen.regime
            await self._bus.publish(topics.REGIME, seen)

    def _leader(self) -> str:
        """Return BTC, or, at a venue that does not list it, the coin that is traded most."""
        if BTC in self.contracts.by_symbol or not self.contracts.by_symbol:
            return BTC
        known = self.quotes.tickers.by_symbol
        traded = {s: known[s].turnover_24h for s in self._universe if s in known}
        return max(traded, key=lambda s: (traded[s] == traded[s], traded[s], s), default=BTC)

    async def keep_contracts(self) -> None:
        """Read rules and risk tiers again now and then, until cancelled."""
        read_s = tiers_s = self._clock.monotonic_s()
        while True:
            await self._clock.sleep(self.options.beat_s)
            now_s = self._clock.monotonic_s()
            if now_s - read_s >= self.options.contracts_s:
                read_s = now_s
                await self._tell_contracts(await self.contracts.refresh())
            if now_s - tiers_s >= self.options.tiers_s:
                tiers_s = now_s
                self._tiers_wanted.update(self.interest.symbols)
            await self.read_what_is_held()

    async def read_what_is_held(self) -> None:
        """Read the risk tiers that are wanted, and funding intervals from the tickers."""
        wanted, self._tiers_wanted = self._tiers_wanted, set()
        changed = await self.contracts.read_tiers(sorted(wanted))
        for symbol in self.interest.symbols:
            ticker = self.quotes.tickers.by_symbol.get(symbol)
            if ticker is not None:
                changed += self.contracts.funding_interval(symbol, ticker.funding_interval_min)
        await self._tell_contracts(changed)

    async def reread(self, symbol: str) -> None:
        """Read a coin's rules anew: the venue refused something that these allow."""
        self._tiers_wanted.add(symbol)
        await self._tell_contracts(await self.contracts.refresh())

    async def _tell_contracts(self, changed: Iterable[Instrument]) -> None:
        at_ms = self._venue_ms()
        for contract in {c.symbol: c for c in changed}.values():
            await self._bus.publish(topics.CONTRACT, ContractSeen(at_ms=at_ms, contract=contract))


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
