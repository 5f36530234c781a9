"""freqtrade, live mode (dry_run false): a whole bot enters, protects itself and leaves.

The bot is built as its own `trade` command builds it and told to process; nothing is replaced.
"""

import json
import logging
import time
from pathlib import Path

from common import check, need, until, world
from freqtrade.commands import Arguments
from freqtrade.configuration import Configuration
from freqtrade.enums import SignalDirection, State
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import Trade
from freqtrade.rpc.rpc import RPC

W = world()
HOME = Path(W.folder)
PAIR = W.unified
STRATEGY = """
from freqtrade.strategy import IStrategy

class JudgeStrategy(IStrategy):
    timeframe = "1m"
    can_short = True
    minimal_roi = {"0": 10}
    stoploss = -0.10
    startup_candle_count = 20
    position_adjustment_enable = True
    use_custom_stoploss = True
    wanted = True
    distance = -0.10

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = int(self.wanted)
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe

    def custom_stoploss(self, pair, trade, current_time, current_rate, current_profit, **kw):
        return self.distance

    def leverage(self, pair, current_time, current_rate, proposed_leverage, max_leverage, **kw):
        return 3.0
"""


def settings():
    """Return the bot's configuration."""
    hosts = dict.fromkeys(("public", "private", "spot", "futures", "v2"), W.rest)
    pricing = {"price_side": "other", "use_order_book": True, "order_book_top": 1}
    return {
        "dry_run": False,
        "strategy": "JudgeStrategy",
        "strategy_path": str(HOME),
        "db_url": "sqlite://",
        "max_open_trades": 1,
        "stake_currency": "USDT",
        "stake_amount": 1000,
        "trading_mode": "futures",
        "margin_mode": "isolated",
        "timeframe": "1m",
        "force_entry_enable": True,
        "initial_state": "running",
        "entry_pricing": pricing,
        "exit_pricing": pricing,
        "unfilledtimeout": {"entry": 10, "exit": 10, "unit": "minutes"},
        "order_types": {
            "entry": "limit",
            "exit": "limit",
            "emergency_exit": "market",
            "force_entry": "limit",
            "force_exit": "market",
            "stoploss": "market",
            "stoploss_on_exchange": True,
            "stoploss_on_exchange_interval": 0,
        },
        "pairlists": [{"method": "StaticPairList"}],
        "telegram": {"enabled": False, "token": "", "chat_id": ""},
        "exchange": {
            "name": "bybit",
            "key": W.key,
            "secret": W.secret,
            "enable_ws": False,
            "pair_whitelist": [PAIR],
            "ccxt_config": {
                "urls": {"api": hosts},
                "options": {"fetchMarkets": {"types": ["linear"]}},
            },
        },
    }


def build():
    """Build the bot from a file, as the command does."""
    HOME.joinpath("judge_strategy.py").write_text(STRATEGY)
    HOME.joinpath("config.json").write_text(json.dumps(settings()))
    words = ["trade", "--config", str(HOME / "config.json"), "--userdir", str(HOME)]
    bot = FreqtradeBot(Configuration(Arguments(words).get_parsed_arg(), None).get_config())
    bot.state = State.RUNNING
    bot.startup()
    need(bot.exchange.unified_account, "not seen as a unified account")
    return bot


class Session:
    """The bot and what is asked of it."""

    def __init__(self, bot):
        self.bot = bot
        self.rpc = RPC(bot)

    def process(self):
        """Let the bot do one turn, the replay at the machine's minute; it throttles itself so."""
        time.sleep(0.3)
        behind = int(time.time() * 1000) - W.control("/sim/state")["clock"]
        if behind > 60_000:
            W.step(behind // 60_000)
        self.bot.process()

    def stub(self):
        """The open trade."""
        Trade.session.expire_all()
        return next(iter(Trade.get_open_trades()), None)

    def orders(self):
        """Open orders as the exchange shows them, conditional ones included."""
        return self.bot.exchange._api.fetch_open_orders(PAIR)

    def held(self):
        """Open positions as the exchange shows them."""
        return [p for p in self.bot.exchange.fetch_positions(PAIR) if p["contracts"]]

    def market_data(self):
        self.bot.exchange.refresh_latest_ohlcv([(PAIR, "1m", self.bot.config["candle_type_def"])])
        frame = self.bot.exchange.klines((PAIR, "1m", self.bot.config["candle_type_def"]))
        need(len(frame) > 100, f"{len(frame)} candles")

    def book(self):
        need(self.bot.exchange.fetch_l2_order_book(PAIR, 1)["asks"], "empty book")
        need(
            self.bot.exchange.get_rate(PAIR, side="entry", is_short=False, refresh=True) > 0, "rate"
        )

    def tickers(self):
        need(PAIR in self.bot.exchange.get_tickers(), "pair missing")

    def tiers(self):
        need(self.bot.exchange.get_max_leverage(PAIR, 1000) > 1, "no leverage tiers")

    def wallet(self):
        self.bot.wallets.update()
        need(self.bot.wallets.get_total("USDT") == 10000, str(self.bot.wallets.get_total("USDT")))
        self.rpc._rpc_balance("USDT", "")

    def fees(self):
        need(self.bot.exchange.get_fee(PAIR, taker_or_maker="taker") > 0, "no fee")

    def enters(self):
        self.process()
        trade = need(self.stub(), "no trade was opened")
        until(lambda: self.process() or not self.stub().open_orders_ids, "unfilled", 20)
        trade = self.stub()
        need(trade.amount > 0 and trade.open_rate > 0 and trade.leverage == 3, str(trade))
        need(trade.fee_open_cost and trade.fee_open_cost > 0, "the entry's fee is not known")

    def protected(self):
        until(lambda: self.process() or self.stub().has_open_sl_orders, "no stop on exchange", 20)
        stops = [o for o in self.orders() if o["reduceOnly"]]
        need(len(stops) == 1 and stops[0]["stopPrice"], str(stops))
        held = self.held()
        need(held and held[0]["leverage"] == 3, str(held))
        need(self.stub().liquidation_price, "no liquidation price")

    def stop_moves(self):
        before = self.stub().open_sl_orders[0].order_id
        self.bot.strategy.distance = -0.05
        until(
            lambda: self.process() or self.stub().open_sl_orders[0].order_id != before,
            "the same stop",
            20,
        )
        need(len(self.orders()) == 1, f"{len(self.orders())} orders")

    def partial_exit(self):
        trade = self.stub()
        before = trade.amount
        self.rpc._rpc_force_exit(str(trade.id), "market", amount=before / 2)
        until(
            lambda: self.process() or (self.stub() and self.stub().amount < before),
            "the amount stays",
            20,
        )
        held = self.held()[0]["contracts"]
        need(abs(held - self.stub().amount) < 1e-9, f"{held} held, {self.stub().amount} known")

    def funding(self):
        trade = self.stub()
        self.bot.exchange.get_funding_fees(PAIR, trade.amount, False, trade.open_date_utc)
        self.bot.exchange.fetch_funding_rate(PAIR)

    def exits(self):
        self.bot.strategy.wanted = False
        trade = self.stub()
        self.rpc._rpc_force_exit(str(trade.id), "market")
        until(lambda: self.process() or self.stub() is None, "the trade stays open", 20)
        need(not self.orders(), "orders left behind")
        need(not self.held(), "a position is left")
        closed = Trade.get_trades([Trade.is_open.is_(False)]).first()
        need(closed.close_profit_abs is not None and closed.fee_close_cost, str(closed))

    def entry_cancelled(self):
        rate = self.bot.exchange.get_rate(PAIR, side="entry", is_short=False, refresh=True)
        self.rpc._rpc_force_entry(
            PAIR, rate * 0.99, order_type="limit", order_side=SignalDirection.LONG
        )
        trade = need(self.stub(), "no trade")
        need(len(self.orders()) == 1, f"{len(self.orders())} orders")
        self.rpc._rpc_cancel_open_order(trade.id)
        need(not self.orders(), "still open")
        need(self.stub() is None, "the trade was not given up")

    def stopped_out(self):
        trade = self.rpc._rpc_force_entry(
            PAIR, None, order_type="market", order_side=SignalDirection.SHORT
        )
        need(trade, "no short was opened")
        until(lambda: self.process() or self.stub().has_open_sl_orders, "no stop on exchange", 20)
        trade = self.stub()
        rate = self.bot.exchange.get_rate(PAIR, side="exit", is_short=True, refresh=True)
        trade.stop_loss = rate * 1.001
        Trade.commit()
        self.process()
        for _ in range(60):
            W.step(10)
            if not self.held():
                break
        until(lambda: self.process() or self.stub() is None, "the stop's fill was not seen", 20)
        closed = Trade.get_trades([Trade.is_short.is_(True)]).first()
        need(closed.exit_reason == "stoploss_on_exchange", closed.exit_reason)


def main():
    """Try everything."""
    logging.basicConfig(level=logging.INFO)
    bot = check("starts live: markets, tiers, position mode, unified account", build)
    names = (
        ("candles", "market_data"),
        ("order book and rate", "book"),
        ("tickers", "tickers"),
        ("leverage tiers", "tiers"),
        ("wallet", "wallet"),
        ("fee", "fees"),
        ("enters: margin mode, leverage, limit order, fill, fee", "enters"),
        ("stop on exchange, position, liquidation price", "protected"),
        ("stop on exchange is replaced", "stop_moves"),
        ("partial exit", "partial_exit"),
        ("funding fees", "funding"),
        ("exits: stop cancelled, position closed, fee", "exits"),
        ("entry order cancelled", "entry_cancelled"),
        ("short stopped out on the exchange", "stopped_out"),
    )
    session = Session(bot) if bot else None
    for name, method in names:
        check(name, lambda method=method: getattr(need(session, "no bot"), method)())


main()
