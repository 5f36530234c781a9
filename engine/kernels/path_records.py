"""Codes and records of a trade's path: what goes in, what comes out, what is open in between."""

from typing import NamedTuple

import numpy as np

# How an order enters.
NEXT_OPEN = 0
RETEST = 1

# Intrabar policy.
PESSIMISTIC = 0
OPTIMISTIC = 1
FINER = 2

# What became of an order. Values are stored on disk: never renumber.
OPENED = 0
EXPIRED = 1
CHASED = 2
BELOW_STOP = 3
NO_BAR = 4
R_TOO_SMALL = 5

# Kinds of fill, and the reason of an exit. Values are stored on disk: never renumber.
ENTRY = 1
TP1 = 2
STOP = 3
BREAKEVEN = 4
TRAIL = 5
TIME = 6
FAILED = 7
LIQUIDATION = 8
FUNDING = 9
END = 10
GAP = 11

MAKER = 1
TAKER = 2
BUY = 1
SELL = -1

_f, _i, _i4 = np.float64, np.int64, np.int32

ORDER = np.dtype(
    [
        ("bar", _i),  # index of the signal's bar in the arrays
        ("trade_id", _i),
        ("failed_t", _i),  # close time of the FAILED event that follows, ms; 0 = none
        ("symbol_id", _i4),
        ("mode", _i4),  # NEXT_OPEN | RETEST
        ("limit", _f),  # price of the retest limit
        ("chase", _f),  # a market entry above this is skipped
        ("stop", _f),
        ("batr", _f),  # base ATR, price units: the unit of the trail
        ("qty", _f),  # base units
        ("r_min", _f),  # smallest entry - stop that pays its costs, price units
        ("sweep_in", _f),  # slippage of a market entry, share of price
        ("sweep_out", _f),  # slippage of a market exit, share of price
    ],
    align=True,
)

FILL = np.dtype(
    [
        ("ts", _i),
        ("trade_id", _i),
        ("symbol_id", _i4),
        ("side", _i4),  # BUY | SELL
        ("kind", _i4),
        ("liquidity", _i4),  # MAKER | TAKER; 0 for funding
        ("qty", _f),  # of a funding row: the position it was charged on (nothing is traded)
        ("price", _f),
        ("fee", _f),  # quote units, paid > 0; of a funding row: the payment
        ("slippage", _f),  # quote units lost against the reference price
    ],
    align=True,
)

TRADE = np.dtype(
    [
        ("trade_id", _i),
        ("symbol_id", _i4),
        ("status", _i4),
        ("exit_kind", _i4),
        ("tp1_hit", _i4),
        ("ambiguous", _i4),  # bars whose order of events the bar itself does not tell
        ("resolved", _i4),  # of these, decided by finer bars
        ("n_fills", _i4),
        ("n_funding", _i4),
        ("signal_ts", _i),  # close time of the signal's bar
        ("entry_ts", _i),
        ("tp1_ts", _i),
        ("exit_ts", _i),  # of an order that never filled: when it left the book
        ("entry_bar", _i),
        ("exit_bar", _i),
        ("bars_held", _i),
        ("qty", _f),
        ("entry", _f),
        ("stop", _f),  # at the entry
        ("tp1", _f),
        ("liquidation", _f),
        ("exit", _f),  # mean price of all exits
        ("last_stop", _f),
        ("risk", _f),  # qty x (entry - stop), quote units
        ("gross", _f),  # at reference prices: before slippage, fees, funding
        ("slippage", _f),
        ("fees", _f),
        ("funding", _f),  # paid > 0
        ("net", _f),
        ("r", _f),  # net / risk
        ("mae_r", _f),  # worst price while open, in R below the entry, >= 0
        ("mfe_r", _f),  # best price while open, in R above the entry, >= 0
    ],
    align=True,
)


# An open position while it is walked; nothing of it outlives the walk.
POSITION = np.dtype(
    [
        ("at", _i),  # next free row of the fills
        ("entry_bar", _i),
        ("entry_ts", _i),
        ("tp1_ts", _i),
        ("exit_ts", _i),
        ("next_funding", _i),
        ("inside", _i),  # 1: filled within its bar, not at the open
        ("tp1_done", _i),
        ("stop_kind", _i),
        ("wish", _i),  # an exit decided at a close, done at the next open
        ("kind", _i),  # the exit; 0 while open
        ("ambiguous", _i),
        ("resolved", _i),
        ("n_funding", _i),
        ("entry", _f),
        ("entry_ref", _f),  # before slippage
        ("distance", _f),  # one R in price units
        ("stop", _f),
        ("target", _f),
        ("breakeven", _f),
        ("liquidation", _f),
        ("highest", _f),  # known to be after the entry
        ("best", _f),
        ("worst", _f),
        ("left", _f),
        ("reference", _f),  # of the exit
        ("gross", _f),
        ("fees", _f),
        ("slippage", _f),
        ("funding", _f),
        ("proceeds", _f),
    ],
    align=True,
)


class PathRules(NamedTuple):
    """What the walk needs to know, all numbers; built by `p8_management.path_rules`."""

    valid_bars: int
    tp1_r: float
    tp1_share: float
    trail_batr: float
    time_stop_bars: int
    exit_on_failed: int
    intrabar: int
    taker_fee: float  # share of notional
    maker_fee: float  # what a resting limit pays
    leverage: float
    maintenance_rate: float
