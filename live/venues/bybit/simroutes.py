"""Which path is answered by what: the simulated venue's signed endpoints. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.venue import wire
from live.venues.bybit import simaccount, simorders
from live.venues.bybit.simanswer import Answer, Params, Refusal, Refused
from live.venues.bybit.simauth import ApiKey
from live.venues.bybit.simdesk import Desk

Reading = Callable[[Desk, int, Params, int], Any]
Acting = Callable[[Desk, int, Any], Answer | Refusal]

READS: Mapping[str, Reading] = {
    "/v5/account/info": simaccount.info,
    "/v5/account/wallet-balance": simaccount.wallet,
    "/v5/account/fee-rate": simaccount.fee_rate,
    "/v5/account/transaction-log": simaccount.transaction_log,
    "/v5/account/user-setting-config": simaccount.settings,
    "/v5/account/query-dcp-info": simaccount.dcp_info,
    "/v5/account/smp-group": simaccount.smp_group,
    "/v5/account/collateral-info": simaccount.collateral,
    "/v5/account/instruments-info": simaccount.own_instruments,
    "/v5/asset/coin/query-info": simaccount.coins,
    "/v5/asset/transfer/query-account-coins-balance": simaccount.balances,
    "/v5/asset/transfer/query-inter-transfer-list": simaccount.withdrawals,
    "/v5/asset/deposit/query-record": simaccount.withdrawals,
    "/v5/asset/withdraw/query-record": simaccount.withdrawals,
    "/v5/order/realtime": simorders.realtime,
    "/v5/order/history": simorders.history,
    "/v5/execution/list": simorders.executions,
    "/v5/position/list": simorders.positions,
    "/v5/position/closed-pnl": simorders.closed_pnl,
}
KEY_PATH = "/v5/user/query-api"
ACTS: Mapping[str, Acting] = {
    "/v5/account/set-limit-px-action": simaccount.set_price_action,
    "/v5/order/disconnected-cancel-all": simaccount.set_dcp,
}
GETS = frozenset({*READS, KEY_PATH})
POSTS = frozenset({*wire.POST_READERS, *wire.BATCH_READERS, *ACTS})


@dataclass(frozen=True, slots=True)
class Need:
    """What an endpoint demands of a key."""

    permission: str = ""
    write: bool = False


def need(path: str) -> Need:
    """Return what a path demands of a key."""
    if path in POSTS:
        return Need("Order" if path.startswith("/v5/order/") else "Position", write=True)
    return Need()


def answer(
    desk: Desk,
    key: ApiKey,
    path: str,
    params: Any,
    *,
    granted: int = wire.BATCH_MAX,
    lag_ms: int = 0,
) -> Answer | Refusal:
    """Answer one signed request, its signature and allowance already checked.

    Parameters
    ----------
    params : mapping or any JSON value
        Of a GET: the query, decoded. Of a POST: the body as it came.
    granted : int
        How many orders of a batch the allowance covers.
    lag_ms : int
        What is younger is not in the lists yet.
    """
    try:
        if path in READS:
            return Answer(READS[path](desk, key.uid, params, lag_ms))
        if path == KEY_PATH:
            return Answer(simaccount.key_info(desk, key))
        if path in wire.BATCH_READERS:
            return simorders.batch(desk, key.uid, path, params, granted)
        if path in wire.POST_READERS:
            return simorders.act(desk, key.uid, path, params)
        if path in ACTS:
            if not isinstance(params, Mapping):
                return Refusal(10001, "Request parameter error")
            return ACTS[path](desk, key.uid, params)
    except Refused as refused:
        return refused.refusal
    return Refusal(10017, "Route not found.")
