"""Money: how it is rounded, and how it is written down.

The rule, by which anyone can recompute every figure from the executions alone (all roundings are
half-even; `q8` = to 8 decimals, `q10` = to 10; everything else is exact at 40 digits)

- `exec_value = exec_price * exec_qty`, exact; `exec_fee = q8(exec_value * fee_rate)`.
- A fill first closes (`closed_size`), then opens with the rest. Closing leaves the entry price as
  it is: `exec_pnl = q8((exec_price - entry_price) * closed_size)`, negated for a short.
- Opening from flat: `entry_price = q10(exec_price)`. Increasing:
  `entry_price = q10((entry_price * size + exec_price * qty) / (size + qty))`.
- Funding: `exec_fee = q8(size * mark_price * rate)` for a long, its negative for a short;
  `exec_value = size * mark_price`, exact.
- One execution = one row of the log: `cash_flow = exec_pnl`, `fee = exec_fee` (0 for funding),
  `funding = -exec_fee` (of a funding payment), `change = cash_flow + funding - fee`,
  `cash_balance` = the sum of all changes so far = `wallet_balance`. A transfer is a `cash_flow`.
- The fee of a fill that opens is carried as `open_fee`: `q8(exec_fee * opened / exec_qty)`, and
  given back to closing fills in proportion, `q8(open_fee * closed / size)`, the last close taking
  the whole rest. The fee of a fill is `close_fee + open_fee`: `close_fee = exec_fee - opened part`.
- A closed-PnL row of one closing order: `closed_pnl = sum(exec_pnl) - open_fee - close_fee`.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal

from engine.venue.exchange.records import ZERO, Account, LogRow
from engine.venue.words import LogType

MONEY = Context(prec=40, rounding=ROUND_HALF_EVEN)
AMOUNT = Decimal("1E-8")
PRICE = Decimal("1E-10")


def q8(amount: Decimal) -> Decimal:
    """Return an amount as it is booked: 8 decimals, half to even."""
    return amount.quantize(AMOUNT)


def q10(price: Decimal) -> Decimal:
    """Return an entry price as it is kept: 10 decimals, half to even."""
    return price.quantize(PRICE)


_WORD = 1 << 128
# the golden ratio of 2**128, odd: consecutive ids look far apart
_ODD = 0x9E3779B97F4A7C15F39CC0605CEDC835


def make_id(seed: int, counter: int) -> str:
    """Return an id in uuid shape: the same for the same seed and counter, another for another.

    For counters under 2**64 and seeds under 2**64 no two pairs share an id (the map is one-to-one).
    """
    number = (((seed << 64) ^ counter) * _ODD) % _WORD
    text = "%032x" % (number ^ (number >> 64))
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def book_row(
    account: Account,
    row_id: str,
    kind: LogType,
    now_ms: int,
    *,
    symbol: str = "",
    side: str = "None",
    qty: Decimal = ZERO,
    size: Decimal = ZERO,
    trade_price: Decimal = ZERO,
    cash_flow: Decimal = ZERO,
    fee: Decimal = ZERO,
    funding: Decimal = ZERO,
    fee_rate: Decimal = ZERO,
    order_id: str = "",
    order_link_id: str = "",
    trade_id: str = "",
) -> LogRow:
    """Move the wallet and write the row that says why; the only place where money moves."""
    change = cash_flow + funding - fee
    wallet = account.wallet
    wallet.wallet_balance += change
    row = LogRow(
        row_id,
        kind,
        symbol,
        side,
        now_ms,
        qty,
        size,
        trade_price,
        cash_flow,
        fee,
        funding,
        change,
        wallet.wallet_balance,
        fee_rate,
        order_id,
        order_link_id,
        trade_id,
    )
    account.log.append(row)
    return row
