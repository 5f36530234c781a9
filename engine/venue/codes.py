"""What the venue's codes mean, what each proves about a request that acts, and what a client does.

The table is data. A code it does not hold proves nothing: a POST answered with it is Unknown until
a lookup has settled it. `verdict` is the one way in: it also knows the few replies whose words, or
whose operation, decide.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Proof(StrEnum):
    """What an answer proves about the request it answers."""

    TAKEN = "taken"  # accepted, or already as wanted
    NOT_TAKEN = "not taken"
    UNKNOWN = "unknown"


class Action(StrEnum):
    """What a client does about it."""

    PROCEED = "proceed"  # wait for the stream to say what became of it
    SUCCESS = "success"  # already as wanted
    VERIFY = "verify"  # most likely as wanted: read it back
    ADOPT = "adopt"  # an earlier send got in: look it up and make it ours
    ORDER_ENDED = "order ended"  # nothing left to cancel or amend: fetch its fills
    QUERY = "query"  # look up by orderLinkId before anything else
    RESYNC_CLOCK = "resync clock"  # measure the offset, sign anew, same id
    WAIT = "wait"  # back off, then the same id again
    RECONNECT = "reconnect"  # this session is ending; new connection, then the same id
    GLOBAL_STOP = "global stop"  # the address is banned: no HTTP at all for ten minutes
    STOP_USER = "stop user"  # this user's engine stops, with an alert; stops at the venue stay
    SHRINK = "shrink"  # not enough money: smaller, or not at all
    LOWER_LEVERAGE = "lower leverage"
    REPRICE = "reprice"  # read the price limits again; re-price or drop
    DROP_SIGNAL = "drop signal"
    BLOCK_ENTRIES = "block entries"  # of this symbol; exits stay
    REREAD = "reread"  # our picture of position or orders is old
    ADAPT_MODE = "adapt mode"  # take the position mode the venue really has
    CLEAR_STOPS = "clear stops"  # too many; alarm if a protective one was refused
    USE_TRADING_STOP = "use trading stop"  # set stops on the position; alarm if unprotected
    CLOSE_NOW = "close now"  # the price is already through the stop
    BUG = "bug"  # ours: do not retry


@dataclass(frozen=True, slots=True)
class Code:
    """One code of the venue.

    `same_id` tells whether the very same request, with the same orderLinkId, may be sent again
    (after what `action` says); everything else needs a new decision. `doubtful`: the words say no,
    but a server under load may have taken the request in before it gave up: the same id may be sent
    again (a double is refused as one), yet "it is not there" needs a lookup.
    """

    code: int
    name: str
    meaning: str
    proof: Proof
    action: Action
    same_id: bool = False
    doubtful: bool = False


_YES, _NO, _PERHAPS = Proof.TAKEN, Proof.NOT_TAKEN, Proof.UNKNOWN


def _codes(
    proof: Proof, action: Action, rows: Iterable[tuple[int, str, str]], *, same_id: bool = False
) -> list[Code]:
    return [Code(code, name, meaning, proof, action, same_id) for code, name, meaning in rows]


_ALL = [
    *_codes(_YES, Action.PROCEED, [(0, "OK", "accepted, no more than that")]),
    *_codes(
        _YES,
        Action.SUCCESS,
        [
            (110025, "POSITION_MODE_NOT_MODIFIED", "position mode has not been modified"),
            (110026, "MARGIN_MODE_NOT_MODIFIED", "margin mode has not been modified"),
            (110027, "MARGIN_NOT_MODIFIED", "margin has not been modified"),
            (110043, "LEVERAGE_NOT_MODIFIED", "leverage has not been modified"),
            (110075, "RISK_ID_NOT_MODIFIED", "risk id not modified (struck through)"),
            (20001, "REPEAT_AUTH", "order entry: the session is authenticated already"),
        ],
    ),
    *_codes(
        _YES,
        Action.VERIFY,
        [(34040, "NOT_MODIFIED", "TP/SL already so, or a required parameter is missing")],
    ),
    *_codes(
        _YES,
        Action.ADOPT,
        [(110072, "DUPLICATE_LINK_ID", "orderLinkId is taken: the earlier send got in")],
    ),
    *_codes(
        _YES,
        Action.ORDER_ENDED,
        [
            (110008, "ORDER_ENDED", "the order has been completed or cancelled"),
            (110010, "ORDER_CANCELLED", "the order has been cancelled"),
        ],
    ),
    *_codes(
        _PERHAPS,
        Action.QUERY,
        [
            (10000, "SERVER_TIMEOUT", "the server timed out"),
            (10014, "DUPLICATE_REQUEST", "invalid duplicate request"),
            (10016, "SERVER_ERROR", "internal error, or the service restarts"),
            (20006, "DUPLICATE_REQ_ID", "order entry: reqId was used before"),
            (40004, "MODIFIED_WHILE_REPLACING", "the order changed while it was being replaced"),
            (110030, "DUPLICATE_ORDER_ID", "duplicate orderId (struck through)"),
        ],
    ),
    # On an amendment or a cancellation nothing was done; right after a create it may be lag.
    *_codes(_NO, Action.QUERY, [(110001, "ORDER_NOT_FOUND", "order does not exist")]),
    *_codes(
        _NO,
        Action.RESYNC_CLOCK,
        [
            (10002, "OUTSIDE_WINDOW", "the timestamp lies outside of the time window"),
            (-1, "REQUEST_EXPIRED", "request expired"),
        ],
        same_id=True,
    ),
    *_codes(
        _NO,
        Action.WAIT,
        [
            (10006, "RATE_LIMIT", "too many visits of this user on this endpoint"),
            (429, "HIGH_LOAD", "the trading service is under high load"),
            (10403, "TRADE_IP_LIMIT", "order entry: 3000 requests a second of one address"),
            (10429, "SYSTEM_PROTECTION", "order entry: system level frequency protection"),
            (20003, "SESSION_TOO_FREQUENT", "order entry: too frequent within the session"),
            (110079, "ORDER_PROCESSING", "the order is being processed, try again later"),
            (110063, "SETTLING", "settlement in progress"),
        ],
        same_id=True,
    ),
    *_codes(
        _NO,
        Action.RECONNECT,
        [(10019, "TRADE_RESTARTING", "order entry restarts; what is in flight goes on")],
        same_id=True,
    ),
    *_codes(
        _NO,
        Action.GLOBAL_STOP,
        [(10018, "IP_LIMIT", "IP rate limit (struck through: HTTP 403 now)")],
    ),
    *_codes(
        _NO,
        Action.STOP_USER,
        [
            (10003, "KEY_INVALID", "key invalid, or of another environment"),
            (10004, "BAD_SIGNATURE", "error sign"),
            (10005, "PERMISSION_DENIED", "the key lacks a permission"),
            (10007, "AUTH_FAILED", "user authentication failed"),
            (10008, "BANNED", "common ban: check the account mode"),
            (10009, "REGION", "not available in this region"),
            (10010, "UNMATCHED_IP", "the key is bound to other addresses"),
            (10024, "COMPLIANCE", "compliance rules triggered"),
            (10027, "TRADING_BANNED", "transactions are banned"),
            (10028, "NOT_UNIFIED", "unified accounts only"),
            (33004, "KEY_EXPIRED", "the key has expired"),
            (-2015, "KEY_EXPIRED_SPOT", "the key has expired (spot)"),
            (110018, "BAD_USER_ID", "user id is illegal"),
            (110066, "TRADING_NOT_ALLOWED", "trading is currently not allowed"),
            (110067, "UNIFIED_NOT_SUPPORTED", "unified account is not supported"),
            (110069, "LENDING_NOT_ALLOWED", "institutional lending user may not trade"),
            (110080, "LENDING_LIQUIDATION", "assets are being liquidated (lending LTV)"),
            (110088, "UPGRADE_TO_UTA", "upgrade to a unified account to trade"),
            (110123, "TERMS", "the trading terms must be agreed to"),
            (110124, "COOLING_OFF", "an active cooling-off period"),
            (110125, "CONTRACT_TERMS", "the terms of this contract must be agreed to"),
            (110132, "PRODUCT_REGION", "product not available in this region"),
        ],
    ),
    *_codes(
        _NO,
        Action.SHRINK,
        [
            (110004, "WALLET_INSUFFICIENT", "wallet balance is insufficient"),
            (110006, "POSITION_MARGIN_SHORT", "assets cannot cover the position margin"),
            (110007, "BALANCE_INSUFFICIENT", "available balance is insufficient"),
            (110012, "AVAILABLE_INSUFFICIENT", "insufficient available balance"),
            (110014, "ADD_MARGIN_SHORT", "too little to add margin"),
            (110044, "MARGIN_INSUFFICIENT", "available margin is insufficient"),
            (110045, "WALLET_SHORT", "wallet balance is insufficient"),
            (110051, "BELOW_LOWEST_PRICE", "balance below the lowest market price"),
            (110052, "PRICE_UNAFFORDABLE", "balance too low to set the price"),
            (110053, "UPPER_LIMIT_UNAFFORDABLE", "balance below market and upper limit price"),
            (110131, "LTV_MARGIN", "margin limit exceeded under the LTV constraints"),
        ],
    ),
    *_codes(
        _NO,
        Action.LOWER_LEVERAGE,
        [
            (110013, "LEVERAGE_RISK_LIMIT", "leverage above what the risk limit allows"),
            (110085, "RISK_TIER_CHANGED", "risk limit and margin rate changed, select anew"),
            (110086, "ORDER_LEVERAGE", "order leverage above the tier's maximum"),
            (110087, "LENDING_LEVERAGE", "leverage above the institutional loan's maximum"),
            (110089, "RISK_LEVEL_MAX", "exceeds the maximum risk limit level"),
            (110090, "POSITION_LIMIT", "position may exceed its limit at this leverage"),
            (30135, "LENDING_LEVERAGE_USDT", "leverage above what lending allows"),
        ],
    ),
    *_codes(
        _NO,
        Action.REPRICE,
        [
            (110003, "PRICE_OUT_OF_RANGE", "price exceeds the allowable range"),
            (30208, "PRICE_ABOVE_MAX", "price above the maximum buying price"),
            (30209, "PRICE_BELOW_MIN", "price below the minimum selling price"),
            (110116, "LEG_PRICE", "derived leg price exceeds the limit price"),
            (110120, "PRICE_BELOW_LIMIT", "price cannot be lower than the limit"),
            (110121, "PRICE_ABOVE_LIMIT", "price cannot be higher than the limit"),
        ],
    ),
    *_codes(
        _NO,
        Action.DROP_SIGNAL,
        [
            (10029, "SYMBOL_NOT_ALLOWED", "symbol is not on the whitelist"),
            (110020, "TOO_MANY_ORDERS", "more than 500 active orders"),
            (110022, "QTY_RESTRICTED", "quantity restricted, may not be increased"),
            (110032, "ORDER_ILLEGAL", "order is illegal"),
            (110040, "WOULD_LIQUIDATE", "the order would trigger a liquidation"),
            (110074, "NOT_LIVE", "this contract is not live"),
            (110094, "NOTIONAL_TOO_SMALL", "order value below the minimum"),
            (110103, "POST_ONLY_STAGE", "only post-only orders at this stage"),
            (110118, "NO_LIQUIDITY", "no price for a market order: low liquidity"),
        ],
    ),
    *_codes(
        _NO,
        Action.BLOCK_ENTRIES,
        [
            (110021, "OPEN_INTEREST_LIMIT", "position limit due to open interest"),
            (110023, "REDUCE_ONLY_CONTRACT", "positions may only be reduced"),
            (110042, "PRE_DELIVERY", "pre-delivery: positions may only be reduced"),
            (110095, "CALL_AUCTION", "no order changes during the call auction"),
            (110098, "AUCTION_GTC_ONLY", "only GTC during the call auction"),
            (110099, "AUCTION_NO_TPSL", "no TP/SL during the call auction"),
            (30133, "LENDING_SYMBOL", "symbol not allowed by institutional lending"),
            (30228, "DELISTING", "no new positions during delisting"),
        ],
    ),
    *_codes(
        _NO,
        Action.REREAD,
        [
            (110005, "POSITION_STATUS", "position status error"),
            (110011, "WOULD_LIQUIDATE_NOW", "this adjustment would liquidate at once"),
            (110015, "IS_CROSS", "the position is in cross margin mode"),
            (110017, "NOTHING_TO_REDUCE", "quantity truncated to zero: usually already flat"),
            (110033, "NO_POSITION_MARGIN", "no margin without an open position"),
            (110034, "NO_NET_POSITION", "there is no net position"),
            (110035, "LIQUIDATING", "cancellations not completed before liquidation"),
            (110039, "MM_RATE_HIGH", "maintenance margin rate is too high"),
            (110046, "ADJUST_LIQUIDATES", "this adjustment would liquidate at once"),
            (110064, "QTY_BELOW_FILLED", "new quantity not above the filled one"),
            (110078, "MARGIN_NOT_REDUCIBLE", "more margin than may be taken out"),
            (110082, "NO_REDUCE_ONLY", "no reduce-only restriction to lift"),
            (110083, "BOTH_SIDES", "restrictions must be lifted for both sides at once"),
            (110073, "MARGIN_MODE_FAILED", "margin mode could not be set"),
            (3400045, "SET_MARGIN_MODE_FAILED", "margin mode not set: show the reasons"),
        ],
    ),
    *_codes(
        _NO,
        Action.ADAPT_MODE,
        [
            (110024, "HAS_POSITION", "position exists: mode cannot be switched"),
            (110028, "HAS_ORDERS", "open orders exist: mode cannot be switched"),
            (110029, "HEDGE_UNSUPPORTED", "hedge mode is not supported for this symbol"),
            (110036, "CROSS_LEVERAGE", "leverage cannot change in cross margin mode"),
            (110038, "PORTFOLIO_LEVERAGE", "leverage cannot change in portfolio margin mode"),
            (110076, "ISOLATED_ONLY", "only isolated mode can set auto-add-margin"),
            (110077, "PORTFOLIO_UNSUPPORTED", "portfolio margin mode is not supported"),
        ],
    ),
    *_codes(
        _NO,
        Action.CLEAR_STOPS,
        [(110009, "TOO_MANY_STOPS", "more stop orders than allowed")],
    ),
    *_codes(
        _NO,
        Action.USE_TRADING_STOP,
        [
            (110054, "HAS_TAKE_PROFIT", "a take profit is linked: mode cannot be switched"),
            (110055, "HAS_STOP_LOSS", "a stop loss is linked: mode cannot be switched"),
            (110056, "HAS_TRAILING", "a trailing stop is linked: mode cannot be switched"),
            (110057, "ORDER_HAS_TPSL", "the order contains TP/SL parameters"),
            (110058, "TPSL_SIZE", "too little position left for TP/SL"),
            (110059, "TPSL_PARTLY_FILLED", "TP/SL of a partially filled order is fixed"),
            (110060, "TPSL_FULL_MODE", "TP/SL cannot be modified under Full mode"),
            (110061, "TOO_MANY_TPSL", "more than 20 partial TP/SLs"),
        ],
    ),
    *_codes(
        _NO,
        Action.CLOSE_NOW,
        [
            (110092, "EXPECT_RISING", "trigger price is not above the market"),
            (110093, "EXPECT_FALLING", "trigger price is not below the market"),
        ],
    ),
    *_codes(
        _NO,
        Action.BUG,
        [
            (10001, "PARAMETER_ERROR", "request parameter error; the words carry the cause"),
            (10017, "ROUTE_NOT_FOUND", "no such path"),
            (10404, "OP_NOT_FOUND", "order entry: no such op, or category unsupported"),
            (110019, "BAD_ORDER_ID", "order id is illegal"),
            (110031, "NO_RISK_LIMIT", "no such risk limit"),
            (110037, "NO_USER_SETTING", "the user's settings do not hold this symbol"),
            (110049, "TICK_NOT_NUMERIC", "tick notes can only be numbers"),
            (110050, "INVALID_COIN", "invalid coin"),
            (110108, "SLIPPAGE_TICKS", "slippage tolerance must be 1 to 10000 ticks"),
            (110109, "SLIPPAGE_PERCENT", "slippage tolerance must be 0.01 to 10 %"),
            (110119, "RPI_MAKERS_ONLY", "RPI orders are for approved market makers"),
            (100028, "UNIFIED_REFUSED", "not for unified account users"),
        ],
    ),
]

_DOUBTFUL = frozenset({-1, 429, 10429})
CODES: dict[int, Code] = {
    code.code: replace(code, doubtful=code.code in _DOUBTFUL) for code in _ALL
}
HTTP_CODES: dict[int, Code] = {
    code.code: code
    for code in [
        *_codes(
            _NO,
            Action.BUG,
            [
                (400, "HTTP_BAD_METHOD", "GET or POST, in capitals"),
                (404, "HTTP_NOT_FOUND", "no such path, or category and account do not match"),
            ],
        ),
        *_codes(
            _NO, Action.STOP_USER, [(401, "HTTP_UNAUTHORISED", "key wrong or headers missing")]
        ),
        *_codes(
            _NO,
            Action.GLOBAL_STOP,
            [(403, "HTTP_FORBIDDEN", "IP limit, forbidden region, or GET with a body")],
        ),
        *_codes(
            _NO,
            Action.WAIT,
            [(429, "HTTP_TOO_MANY", "system level frequency protection")],
            same_id=True,
        ),
    ]
}
HTTP_CODES[429] = replace(HTTP_CODES[429], doubtful=True)
_OK_STATUS = range(200, 300)


def verdict(code: int, message: str = "", *, op: str = "create") -> Code:
    """Return what a retCode means for an operation.

    Parameters
    ----------
    code : int
        The retCode.
    message : str
        The retMsg: 10001 says several things by its words alone.
    op : str
        ``create``, ``amend``, ``cancel`` or another POST: an order that has ended is a cancel's
        wish come true, an amendment's refusal, and no answer to a wish to place one.
    """
    found = CODES.get(code)
    if found is None:
        return Code(
            code, "NOT_IN_THE_TABLE", message or "unknown code", Proof.UNKNOWN, Action.QUERY
        )
    if found.action is Action.ORDER_ENDED and op == "create":
        # It speaks of an order that was: of one that is to be it proves nothing.
        return replace(found, proof=Proof.UNKNOWN, action=Action.QUERY)
    if found.action is Action.ORDER_ENDED and op != "cancel":
        return replace(found, proof=Proof.NOT_TAKEN)
    if found.code == 10001:  # noqa: PLR2004 - the code that speaks in words
        if "expect Rising" in message or "expect Falling" in message:
            return replace(found, action=Action.CLOSE_NOW, meaning=message)
        if "position idx not match" in message:
            return replace(found, action=Action.ADAPT_MODE, meaning=message)
        if "base_price" in message:  # a TP or SL that the price has passed already
            return replace(found, action=_passed(message, op), meaning=message)
    return found


def _passed(message: str, op: str) -> Action:
    """Return what to do about a TP or SL on the wrong side of the present price."""
    if not message.lower().startswith(("sl:", "stoploss:")):
        return Action.REPRICE
    # With an order nothing is open yet; of a position it is the stop that comes too late.
    return Action.DROP_SIGNAL if op == "create" else Action.CLOSE_NOW


def http_verdict(status: int) -> Code | None:
    """Return what an HTTP status proves; None where the body has to be read (2xx).

    A 5xx proves nothing: the request may have been taken before the gateway gave up.
    """
    if status in _OK_STATUS:
        return None
    return HTTP_CODES.get(status) or Code(
        status, "HTTP_ERROR", f"HTTP {status}", Proof.UNKNOWN, Action.QUERY
    )
