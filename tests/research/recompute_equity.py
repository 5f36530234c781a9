"""Recompute an account's equity from `fills.parquet` alone. Imports nothing of the product.

    python recompute_equity.py FOLDER CAPITAL

Prints the final equity; exits 1 when `equity.parquet` or `trades.parquet` of the folder disagree by
half a cent or more anywhere.
"""

import sys
from bisect import bisect_left
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq

CENT = Fraction(1, 200)


def recompute(fills, capital):
    """Walk the fills in their order; return [(ts, equity after it)] and {trade_id: net}."""
    equity = Fraction(capital)
    bought, paid, curve, net = {}, {}, [], {}
    for fill in fills:
        trade, qty, price = fill["trade_id"], Fraction(fill["qty"]), Fraction(fill["price"])
        change = -Fraction(fill["fee"])
        if fill["kind"] == "funding":
            pass  # nothing is traded: the fee is the payment
        elif fill["side"] == "buy":
            bought[trade] = bought.get(trade, 0) + qty
            paid[trade] = paid.get(trade, 0) + qty * price
        else:
            change += qty * (price - paid[trade] / bought[trade])
        equity += change
        net[trade] = net.get(trade, 0) + change
        curve.append((fill["ts"], equity))
    return curve, net


def differences(folder, capital):
    """Return what does not agree, as lines."""
    fills = pq.read_table(folder / "fills.parquet").to_pylist()
    curve, net = recompute(fills, capital)
    times = [ts for ts, _ in curve]
    wrong = []
    if times != sorted(times):
        wrong.append("fills are not in order of time")
    for row in pq.read_table(folder / "equity.parquet").to_pylist():
        before = bisect_left(times, row["ts"])  # a fill counts from the first close after it
        expected = curve[before - 1][1] if before else Fraction(capital)
        if abs(expected - Fraction(row["realised"])) >= CENT:
            wrong.append(
                f"realised at {row['ts']}: {row['realised']:.4f}, fills say {float(expected):.4f}"
            )
    trades = pq.read_table(folder / "trades.parquet").to_pylist()
    wrong += [
        f"trade {row['trade_id']}: net {row['net']:.4f} is not in the fills"
        for row in trades
        if abs(net[row["trade_id"]] - Fraction(row["net"])) >= CENT
    ]
    return wrong, float(curve[-1][1]) if curve else float(capital)


if __name__ == "__main__":
    wrong, final = differences(Path(sys.argv[1]), float(sys.argv[2]))
    sys.stdout.write("\n".join(wrong) or f"{final:.2f}\n")
    sys.exit(1 if wrong else 0)
