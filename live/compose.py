"""The composition root: wires the parts to the outside world, as the settings say."""

from collections.abc import Callable

import numpy as np

from data.records.port import Store
from data.records.rows import UserRow
from engine.errors import DataError
from engine.pipeline.profile import Profile
from live.accounts.brain import AccountBrain
from live.accounts.commit import Group
from live.accounts.notify import ConsoleNotifier, OutboxPump
from live.accounts.paper_desk import PAPER, ByMode, PaperDesk
from live.accounts.ports import Account, Log, NoAccount, Notifier
from live.accounts.session import Parts
from live.accounts.supervisor import Supervisor
from live.accounts.wal import FileWals
from live.bus import LocalBus
from live.clock import Clock, SystemClock
from live.market.keeper import Contexts
from live.platform import Platform
from live.service import MarketService
from live.settings import Settings
from live.venues.bybit.accounts import BybitAccounts, NotOpened
from live.venues.bybit.simkeys import SimKeys
from live.venues.keys import Key, KeyFile, Keys


def build_market_service(
    settings: Settings,
    *,
    clock: Clock | None = None,
    profile: Profile | None = None,
    bus: LocalBus | None = None,
    store: Contexts | None = None,
) -> MarketService:
    """Wire the market layer to Bybit's public interfaces (or to whatever speaks like them).

    Parameters
    ----------
    settings : Settings
        Names the addresses, the profile and every limit.
    clock : Clock, optional
        The machine's by default.
    profile : Profile, optional
        Instead of the one the settings name.
    bus : LocalBus, optional
        Where news goes; an own one by default.
    store : Contexts, optional
        Keeps the coins' contexts beside the file.
    """
    from data.profiles import load_profile
    from live.venues.bybit.budget import WindowBudget
    from live.venues.bybit.market_stream import BybitMarketStream
    from live.venues.bybit.public_rest import BybitPublicRest
    from live.venues.bybit.public_stream import BybitPublicStream, ShardOptions, StreamOptions
    from live.venues.bybit.shards import CONNECTIONS_PER_5_MIN

    clock = clock or SystemClock()
    profile = profile or load_profile(settings.profile, settings.interval)
    options = StreamOptions(shard=ShardOptions(silence_s=settings.silence_s))
    # Jitter only: no decision hangs on it, so the seed may be anything that differs.
    rng = np.random.default_rng(clock.now_ms())
    budget = WindowBudget(clock, CONNECTIONS_PER_5_MIN, 300.0)  # of the address: both share it
    stream = BybitPublicStream(
        settings.ws_url, profile.interval, clock, rng, options=options, budget=budget
    )
    market = BybitMarketStream(settings.ws_url, clock, rng, budget=budget)
    rest = BybitPublicRest(settings.rest_url, clock)
    return MarketService(
        settings,
        profile,
        clock=clock,
        rest=rest,
        stream=stream,
        market=market,
        bus=bus,
        store=store,
    )


async def open_store(settings: Settings, *, clock: Clock | None = None) -> Store:
    """Open the store that the settings name; a file of our own is made, or brought up to date.

    Raises
    ------
    DataError
        It cannot be used, or a database that others may share has another schema.
    """
    from data.records.opening import open_store as open_address

    address = settings.database_address
    return await open_address(address, clock or SystemClock(), upgrade=address.startswith("sqlite"))


class VenueTime:
    """The engines' clock: waits by this machine, the time of day by the venue.

    What an engine is told is dated by the venue, so that is what its expiries, ages of quotes and
    days are counted on; a wall clock that is wrong here, or set, changes none of them.
    """

    def __init__(self, clock: Clock, now_ms: Callable[[], int]) -> None:
        self._clock = clock
        self._now_ms = now_ms
        self.monotonic_s = clock.monotonic_s
        self.sleep = clock.sleep
        self.call_later = clock.call_later

    def now_ms(self) -> int:
        """Return the venue's time."""
        return self._now_ms()


class UserAccounts:
    """The `Accounts` of one venue: every user in the mode of this deployment, or refused.

    Parameters
    ----------
    settings : Settings
    accounts : BybitAccounts
    keys : Keys
        Of a simulator `SimKeys`: an account that it forgot is opened anew.
    """

    def __init__(self, settings: Settings, accounts: BybitAccounts, keys: Keys) -> None:
        self.accounts = accounts
        self._mode = settings.venue
        self._keys = keys

    async def open(self, user: UserRow) -> Account | NoAccount:
        """Open one user's account; the key is checked before anything is traded with it."""
        key = await self._key(user)
        if isinstance(key, NoAccount):
            return key
        found = await self.accounts.open(user.user_id, key)
        if isinstance(found, NotOpened) and self._is_forgotten(found):
            key = await self._made(user)
            if isinstance(key, NoAccount):
                return key
            found = await self.accounts.open(user.user_id, key)
        if isinstance(found, NotOpened):
            return NoAccount(found.faults, retryable=found.retryable)
        return Account(found.venue, found.stream, found.margin_mode)

    async def check(self, user: UserRow) -> NoAccount | None:
        """Check the key again; None: it is good, or the venue does not say."""
        key = await self._key(user)
        if isinstance(key, NoAccount):
            return None if key.retryable else key
        found = await self.accounts.check(user.user_id, key)
        return None if found is None or found.retryable else NoAccount(found.faults)

    def _is_forgotten(self, found: NotOpened) -> bool:
        simulated = isinstance(self._keys, SimKeys)
        return simulated and any(code == "key_bad" for code, _ in found.faults)

    async def _key(self, user: UserRow) -> Key | NoAccount:
        if user.mode != self._mode:
            words = f"the user is in mode {user.mode}, this deployment in {self._mode}"
            return NoAccount((("mode", words),))
        if user.mode == "live" and not user.armed:
            return NoAccount((("not_armed", "real money is not armed for this user"),))
        try:
            key = self._keys.of(user.user_id, user.name)
        except DataError as error:
            words = f"{error.what}: {error.why}" if error.why else error.what
            return NoAccount((("keys_file", words),), retryable=True)
        if key is not None:
            return key
        if isinstance(self._keys, SimKeys):
            return await self._made(user)
        return NoAccount((("no_key", "there is no key for this user"),))

    async def _made(self, user: UserRow) -> Key | NoAccount:
        if not isinstance(self._keys, SimKeys):
            return NoAccount((("no_key", "there is no key for this user"),))
        try:
            return await self._keys.make(user.user_id)
        except DataError as error:
            return NoAccount((("no_simulator", error.what),), retryable=True)


def build_platform(
    settings: Settings,
    store: Store,
    *,
    holder: str,
    log: Log,
    clock: Clock | None = None,
    profile: Profile | None = None,
    venue_ms: Callable[[], int] | None = None,
    keys: Keys | None = None,
    notifier: Notifier | None = None,
) -> Platform:
    """Wire the market layer, the store and the users' engines into one process.

    Parameters
    ----------
    settings : Settings
    store : Store
        Open; the platform closes it.
    holder : str
        This process's name at the leases, of our own making.
    log : Log
    clock : Clock, optional
        The machine's by default.
    profile : Profile, optional
        Instead of the one the settings name.
    venue_ms : callable, optional
        The venue's clock; by default what its answers say. A replay in this process knows better.
    keys : Keys, optional
        Instead of those the settings name.
    notifier : Notifier, optional
        Tells people; the log by default.

    Raises
    ------
    DataError
        The mode needs keys and the settings name no file.
    """
    from live.venues.bybit.pybit_transport import PybitTransport

    clock = clock or SystemClock()
    # Jitter only: no decision hangs on it, so the seed may be anything that differs.
    rng = np.random.default_rng(clock.now_ms())
    accounts = BybitAccounts(
        PybitTransport(settings.rest_url, clock),
        settings.ws_url,
        clock,
        rng,
        real_money=settings.venue == "live",
    )
    time = VenueTime(clock, venue_ms or accounts.gate.venue_clock.now_ms)
    market = build_market_service(settings, clock=clock, profile=profile, store=store)
    group = Group(store, time)
    paper = PaperDesk(time, market.desk, FileWals(settings.home / "paper"))
    real = None
    if settings.venue != PAPER:
        real = UserAccounts(settings, accounts, keys or own_keys(settings))
    parts = Parts(
        store=store,
        group=group,
        wals=FileWals(settings.home / "journal"),
        accounts=ByMode(paper, real),
        brain=AccountBrain(),
        market=market.desk,
        clock=time,
        log=log,
    )
    return Platform(
        market=market,
        store=store,
        supervisor=Supervisor(parts, holder),
        pump=OutboxPump(store, notifier or ConsoleNotifier(log), time, log),
        group=group,
        paper=paper,
        clock=time,
        log=log,
        close=accounts.close,
    )


def own_keys(settings: Settings) -> Keys:
    """Return where keys come from in this mode."""
    if settings.venue == "sim":
        return SimKeys(settings.rest_url, settings.home / "sim-keys.json")
    if settings.keys_file is None:
        raise DataError(
            f"mode {settings.venue} needs keys",
            hint="ZION_KEYS_FILE names a JSON file, mode 0600: zion doctor checks it",
        )
    return KeyFile(settings.keys_file)
