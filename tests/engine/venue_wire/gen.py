"""What hypothesis draws for the codec: the machine's records and commands, and any JSON at all."""

from decimal import Decimal

from hypothesis import strategies as st

from engine.venue.exchange import commands as c
from engine.venue.exchange.records import ClosedPnl, Execution, LogRow, Order, Position, Wallet
from engine.venue.instrument import Instrument, RiskTier
from engine.venue.words import (
    CancelType,
    CreateType,
    ExecType,
    InstrumentStatus,
    LogType,
    MarginMode,
    OrderStatus,
    OrderType,
    PositionMode,
    PositionStatus,
    RejectReason,
    Side,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
)

# thirty digits and more, and as small as 1e-18: nothing on the way may go through a float
money = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**32),
    st.integers(-18, 0),
)
amount = money.map(abs)
above = st.builds(
    lambda digits, exponent: Decimal((0, tuple(map(int, str(digits))), exponent)),
    st.integers(1, 10**32),
    st.integers(-18, 0),
)
maybe = st.none() | above
times = st.integers(0, 2**53)
symbols = st.sampled_from(["BTCUSDT", "1000PEPEUSDT", "AUSDT", "ETHPERP"])
links = st.text("abcXYZ019-_", max_size=36)
ids = st.uuids().map(str)
slots = st.integers(0, 2)
seqs = st.integers(-1, 2**53)


def _one_of(kind):
    return st.sampled_from(list(kind))


orders = st.builds(
    Order,
    order_id=ids,
    order_link_id=links,
    symbol=symbols,
    side=_one_of(Side),
    order_type=_one_of(OrderType),
    qty=amount,
    price=maybe,
    time_in_force=_one_of(TimeInForce),
    position_idx=slots,
    reduce_only=st.booleans(),
    close_on_trigger=st.booleans(),
    order_status=_one_of(OrderStatus),
    cancel_type=_one_of(CancelType),
    reject_reason=_one_of(RejectReason),
    create_type=_one_of(CreateType),
    stop_order_type=_one_of(StopOrderType),
    trigger_price=maybe,
    trigger_direction=slots,
    trigger_by=st.none() | _one_of(TriggerBy),
    take_profit=maybe,
    stop_loss=maybe,
    tpsl_mode=st.none() | _one_of(TpslMode),
    parent_order_link_id=links,
    cum_exec_qty=amount,
    cum_exec_value=amount,
    cum_exec_fee=money,
    closed_pnl=money,
    created_time=times,
    updated_time=times,
)
executions = st.builds(
    Execution,
    exec_id=ids,
    exec_type=_one_of(ExecType),
    symbol=symbols,
    side=_one_of(Side),
    order_id=ids,
    order_link_id=links,
    order_type=st.none() | _one_of(OrderType),
    stop_order_type=_one_of(StopOrderType),
    create_type=st.none() | _one_of(CreateType),
    order_price=amount,
    order_qty=amount,
    exec_price=above,
    exec_qty=above,
    exec_value=amount,
    exec_fee=money,
    fee_rate=money,
    exec_pnl=money,
    closed_size=amount,
    leaves_qty=amount,
    is_maker=st.booleans(),
    mark_price=above,
    index_price=above,
    position_idx=slots,
    exec_time=times,
    seq=seqs,
)
positions = st.builds(
    Position,
    symbol=symbols,
    position_idx=slots,
    side=st.none() | _one_of(Side),
    size=amount,
    entry_price=amount,
    leverage=above,
    margin=amount,
    take_profit=maybe,
    stop_loss=maybe,
    trailing_stop=maybe,
    risk_id=st.integers(0, 99),
    risk_limit_value=amount,
    auto_add_margin=st.integers(0, 1),
    position_status=_one_of(PositionStatus),
    adl_rank_indicator=st.integers(0, 5),
    is_reduce_only=st.booleans(),
    cur_realised_pnl=money,
    cum_realised_pnl=money,
    created_time=times,
    updated_time=times,
    open_time=times,
    leverage_sys_updated_time=times,
    mmr_sys_updated_time=times,
    seq=seqs,
    mark_price=amount,
    position_value=amount,
    position_im=amount,
    position_mm=amount,
    liq_price=maybe,
    bust_price=maybe,
    break_even_price=maybe,
    unrealised_pnl=money,
)
wallets = st.builds(
    Wallet,
    wallet_balance=money,
    equity=money,
    unrealised_pnl=money,
    total_position_im=amount,
    total_order_im=amount,
    total_position_mm=amount,
    available_balance=money,
    cum_realised_pnl=money,
    im_rate=amount,
    mm_rate=amount,
)
log_rows = st.builds(
    LogRow,
    id=ids,
    type=_one_of(LogType),
    symbol=symbols | st.just(""),
    side=st.sampled_from(["Buy", "Sell", "None"]),
    transaction_time=times,
    qty=amount,
    size=money,
    trade_price=amount,
    cash_flow=money,
    fee=money,
    funding=money,
    change=money,
    cash_balance=money,
    fee_rate=money,
    order_id=ids | st.just(""),
    order_link_id=links,
    trade_id=ids | st.just(""),
)
closed_pnls = st.builds(
    ClosedPnl,
    symbol=symbols,
    order_id=ids,
    side=_one_of(Side),
    qty=amount,
    order_price=amount,
    order_type=_one_of(OrderType),
    exec_type=_one_of(ExecType),
    closed_size=amount,
    cum_entry_value=amount,
    avg_entry_price=amount,
    cum_exit_value=amount,
    avg_exit_price=amount,
    closed_pnl=money,
    fill_count=st.integers(0, 500),
    leverage=above,
    open_fee=money,
    close_fee=money,
    created_time=times,
    updated_time=times,
)
tiers = st.lists(
    st.builds(
        RiskTier,
        id=st.integers(1, 99),
        limit=above,
        maintenance_rate=st.decimals("0.001", "0.5", places=4),
        deduction=amount,
        leverage_max=st.integers(1, 150).map(Decimal),
    ),
    max_size=4,
).map(tuple)
instruments = st.builds(
    Instrument,
    symbol=symbols,
    tick_size=above,
    qty_step=above,
    min_order_qty=amount,
    max_order_qty=amount,
    max_mkt_order_qty=amount,
    min_notional=amount,
    min_price=amount,
    max_price=amount,
    leverage_max=amount,
    leverage_min=amount,
    leverage_step=amount,
    funding_interval_min=st.integers(1, 1440),
    price_limit_x=amount,
    price_limit_y=amount,
    tiers=tiers,
    status=_one_of(InstrumentStatus),
    launch_time=times,
    delivery_time=times,
)

# ---------------------------------------------------------------------------- commands

UID = 7


@st.composite
def creates(draw) -> c.CreateOrder:
    order_type = draw(_one_of(OrderType))
    market = order_type is OrderType.MARKET
    trigger = draw(maybe)
    tolerance = draw(st.sampled_from(["", "TickSize", "Percent"]))
    return c.CreateOrder(
        uid=UID,
        symbol=draw(symbols),
        side=draw(_one_of(Side)),
        order_type=order_type,
        qty=draw(amount),
        price=None if market else draw(above),
        time_in_force=TimeInForce.IOC if market else draw(_one_of(TimeInForce)),
        position_idx=draw(slots),
        order_link_id=draw(links),
        reduce_only=draw(st.booleans()),
        close_on_trigger=draw(st.booleans()),
        trigger_price=trigger,
        trigger_direction=draw(st.integers(0 if trigger is None else 1, 2)),
        trigger_by=draw(st.none() | _one_of(TriggerBy)),
        take_profit=draw(maybe),
        stop_loss=draw(maybe),
        tp_trigger_by=draw(_one_of(TriggerBy)),
        sl_trigger_by=draw(_one_of(TriggerBy)),
        tpsl_mode=draw(st.none() | _one_of(TpslMode)),
        tp_order_type=draw(_one_of(OrderType)),
        sl_order_type=draw(_one_of(OrderType)),
        tp_limit_price=draw(maybe),
        sl_limit_price=draw(maybe),
        slippage_tolerance_type=tolerance,
        slippage_tolerance=draw(amount) if tolerance else None,
    )


_some_id = st.tuples(ids, links) | st.tuples(st.just(""), links.filter(bool))
amends = st.builds(
    lambda names, **rest: c.AmendOrder(uid=UID, order_id=names[0], order_link_id=names[1], **rest),
    _some_id,
    symbol=symbols,
    qty=maybe,
    price=maybe,
    trigger_price=maybe,
    trigger_by=st.none() | _one_of(TriggerBy),
    take_profit=st.none() | amount,
    stop_loss=st.none() | amount,
    tp_trigger_by=st.none() | _one_of(TriggerBy),
    sl_trigger_by=st.none() | _one_of(TriggerBy),
    tp_limit_price=maybe,
    sl_limit_price=maybe,
)
trading_stops = st.builds(
    c.SetTradingStop,
    uid=st.just(UID),
    symbol=symbols,
    tpsl_mode=_one_of(TpslMode),
    position_idx=slots,
    take_profit=st.none() | amount,
    stop_loss=st.none() | amount,
    trailing_stop=st.none() | amount,
    active_price=st.none() | amount,
    tp_trigger_by=st.none() | _one_of(TriggerBy),
    sl_trigger_by=st.none() | _one_of(TriggerBy),
    tp_size=maybe,
    sl_size=maybe,
    tp_order_type=_one_of(OrderType),
    sl_order_type=_one_of(OrderType),
    tp_limit_price=maybe,
    sl_limit_price=maybe,
)
modes = _one_of(PositionMode)
margin_modes = _one_of(MarginMode)

# ---------------------------------------------------------------------------- anything

_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.decimals(allow_nan=True)
    | st.sampled_from(
        ["", "0", "0.00", "UNKNOWN", "1e-05", "1e999999999", "1_0", "NaN", "Infinity", "-0",
         "\u0661", "9" * 200, "1" + "0" * 70, " 1 ", "linear",
         "BTCUSDT", "Buy", "Limit", True, 2**63, 2**400]
    )
)  # fmt: skip
anything = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def mangled(row: dict[str, object]):
    """Draw the row with some of its values lost, retyped or replaced by anything."""
    keys = sorted(row)
    return st.dictionaries(st.sampled_from(keys), anything, max_size=6).map(lambda x: {**row, **x})
