"""What a trade's path costs and what it comes to: entry, funding, sale of the rest, the row."""

import numpy as np

from engine.kernels._jit import kernel
from engine.kernels.path_records import (
    BUY,
    ENTRY,
    FUNDING,
    LIQUIDATION,
    MAKER,
    RETEST,
    SELL,
    STOP,
    TAKER,
    PathRules,
)
from engine.kernels.path_rules import (
    bankruptcy_price,
    breakeven_price,
    liquidation_price,
    write_fill,
)


@kernel
def open_position(
    p: np.void, order: np.void, entry: float, rules: PathRules, fills: np.ndarray
) -> None:
    """Fill the entry; everything of the position that stays is set here."""
    qty = order["qty"]
    p["left"] = qty
    p["entry"] = entry
    p["stop"] = order["stop"]
    p["stop_kind"] = STOP
    p["distance"] = entry - order["stop"]
    p["target"] = entry + rules.tp1_r * p["distance"]
    p["breakeven"] = breakeven_price(entry, rules.taker_fee, order["sweep_out"])
    p["liquidation"] = liquidation_price(entry, rules.leverage, rules.maintenance_rate)
    p["highest"] = entry
    p["best"] = entry
    p["worst"] = entry
    resting = order["mode"] == RETEST and p["entry_ref"] == entry
    fee = qty * entry * (rules.maker_fee if resting else rules.taker_fee)
    slip = qty * (entry - p["entry_ref"])
    p["fees"] = fee
    p["slippage"] = slip
    liquidity = MAKER if resting else TAKER
    p["at"] = write_fill(
        fills, p["at"], p["entry_ts"], order, BUY, ENTRY, liquidity, qty, entry, fee, slip
    )


@kernel
def charge_funding(
    p: np.void,
    order: np.void,
    funding_ts: np.ndarray,
    funding_rate: np.ndarray,
    t: int,
    price: float,
    fills: np.ndarray,
) -> None:
    """Charge every instant up to a bar's open on what is still open, at that open."""
    while p["next_funding"] < len(funding_ts) and funding_ts[p["next_funding"]] <= t:
        i = p["next_funding"]
        payment = p["left"] * price * funding_rate[i]
        p["funding"] += payment
        p["n_funding"] += 1
        p["at"] = write_fill(
            fills, p["at"], funding_ts[i], order, SELL, FUNDING, 0, p["left"], price, payment, 0.0
        )
        p["next_funding"] += 1


@kernel
def sell_rest(p: np.void, order: np.void, rules: PathRules, fills: np.ndarray) -> None:
    """Sell what is left at the exit's reference price, less slippage; a liquidation has its own."""
    reference = p["reference"]
    price = reference * (1.0 - order["sweep_out"])
    if p["kind"] == LIQUIDATION:
        reference = bankruptcy_price(p["entry"], rules.leverage)
        price = reference
    left = p["left"]
    if left <= 0.0:
        return
    p["worst"] = min(p["worst"], reference)
    p["best"] = max(p["best"], reference)
    fee = left * price * rules.taker_fee
    slip = left * (reference - price)
    p["fees"] += fee
    p["slippage"] += slip
    p["gross"] += left * (reference - p["entry_ref"])
    p["proceeds"] += left * price
    p["at"] = write_fill(
        fills, p["at"], p["exit_ts"], order, SELL, p["kind"], TAKER, left, price, fee, slip
    )


@kernel
def report(p: np.void, trade: np.void, bar: int, n_fills: int) -> None:
    """Write the closed position into its trade row."""
    qty, entry, distance = trade["qty"], p["entry"], p["distance"]
    net = p["gross"] - p["slippage"] - p["fees"] - p["funding"]
    risk = qty * distance
    trade["exit_kind"] = p["kind"]
    trade["tp1_hit"] = p["tp1_done"]
    trade["ambiguous"] = p["ambiguous"]
    trade["resolved"] = p["resolved"]
    trade["n_fills"] = n_fills
    trade["n_funding"] = p["n_funding"]
    trade["entry_ts"] = p["entry_ts"]
    trade["tp1_ts"] = p["tp1_ts"]
    trade["exit_ts"] = p["exit_ts"]
    trade["entry_bar"] = p["entry_bar"]
    trade["exit_bar"] = bar
    trade["bars_held"] = bar - p["entry_bar"]
    trade["entry"] = entry
    trade["tp1"] = p["target"]
    trade["liquidation"] = p["liquidation"]
    trade["exit"] = p["proceeds"] / qty
    trade["last_stop"] = p["stop"]
    trade["risk"] = risk
    trade["gross"] = p["gross"]
    trade["slippage"] = p["slippage"]
    trade["fees"] = p["fees"]
    trade["funding"] = p["funding"]
    trade["net"] = net
    trade["r"] = net / risk
    trade["mae_r"] = (entry - p["worst"]) / distance
    trade["mfe_r"] = (p["best"] - entry) / distance
