"""What both NautilusTrader drivers share: clients on the simulator, domain objects."""

from common import need, world
from nautilus_trader.core import nautilus_pyo3 as nt
from nautilus_trader.core.nautilus_pyo3 import bybit

W = world()
LINEAR = bybit.BybitProductType.LINEAR
VENUE = "BYBIT"
INSTRUMENT = nt.InstrumentId.from_str(f"{W.symbol}-LINEAR.{VENUE}")
ACCOUNT = nt.AccountId(f"{VENUE}-UNIFIED")
TRADER, STRATEGY = nt.TraderId("JUDGE-001"), nt.StrategyId("S-001")
BUY, SELL = nt.OrderSide.BUY, nt.OrderSide.SELL
GTC = nt.TimeInForce.GTC
BAR_TYPE = nt.BarType.from_str(f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL")


def http(key=W.key, secret=W.secret):
    """Return an HTTP client that talks to the simulator only."""
    return bybit.BybitHttpClient(
        api_key=key, api_secret=secret, base_url=W.rest, max_retries=0, recv_window_ms=5000
    )


class Market:
    """The instruments, and prices and quantities on their grids."""

    def __init__(self):
        self.instrument = None
        self.instruments = []
        self.count = 0

    async def load(self, client):
        """Read the instruments and put them where the client looks for them."""
        self.instruments = await client.request_instruments(LINEAR)
        for each in self.instruments:
            client.cache_instrument(each)
            if each.id == INSTRUMENT:
                self.instrument = each
        need(self.instrument, f"{INSTRUMENT} missing among {len(self.instruments)}")

    async def last(self, client):
        """Return the last price."""
        params = bybit.BybitTickersParams(LINEAR, W.symbol)
        return float((await client.request_tickers(params))[0].last_price)

    async def price(self, client, share):
        """Return the last price moved by a share."""
        step = float(str(self.instrument.price_increment))
        value = round((await self.last(client)) * (1 + share) / step) * step
        return nt.Price(value, self.instrument.price_precision)

    async def qty(self, client, usdt=2000.0):
        """Return a quantity worth so much."""
        return nt.Quantity(usdt / await self.last(client), self.instrument.size_precision)

    def link(self):
        """Return a fresh client order id."""
        self.count += 1
        return nt.ClientOrderId(f"O-judge-{W.key[:4]}-{self.count}")


MARKET = Market()
