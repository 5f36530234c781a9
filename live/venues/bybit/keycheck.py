"""May this key, and this account, be traded with? Pure: the venue's words in, reasons out."""

from datetime import UTC, datetime

from engine.venue.wire.keys import AccountInfo, KeyInfo
from engine.venue.words import MarginMode

# Groups of rights that exist today. What a new group allows nobody here has judged.
KNOWN_GROUPS = frozenset(
    {
        *("ContractTrade", "Spot", "Wallet", "Options", "Derivatives", "CopyTrading", "BlockTrade"),
        *("Exchange", "NFT", "Affiliate", "Earn", "FiatP2P", "FiatConvertBroker"),
        *("FiatGlobalPay", "FiatBitPay", "BitCard", "ByXPost"),
    }
)
_MONEY_RIGHTS = ("withdraw", "transfer")
Faults = tuple[tuple[str, str], ...]


def faults_of_key(key: KeyInfo, *, now_ms: int, real_money: bool) -> Faults:
    """Return why a key may not be used, as (code, words); () where it may.

    Parameters
    ----------
    real_money : bool
        Demands bound addresses and a key for trading alone: nothing more than it needs.
    """
    found = []
    if key.read_only:
        found.append(("key_read_only", "the key may only read"))
    elif not key.may_trade:
        found.append(("key_rights", "the key may not place orders and change positions"))
    rights = [right for named in key.permissions.values() for right in named]
    money = sorted({r for r in rights if any(word in r.lower() for word in _MONEY_RIGHTS)})
    if money:
        found.append(("key_withdraw", f"the key may move money away ({', '.join(money)})"))
    new = sorted(
        group for group, named in key.permissions.items() if named and group not in KNOWN_GROUPS
    )
    if new:
        found.append(
            ("key_unknown_rights", f"the key has rights nobody has judged: {', '.join(new)}")
        )
    if not key.unified:
        found.append(("account_kind", "the account is not a unified one"))
    if _expired(key.expired_at, now_ms):
        found.append(("key_expired", f"the key has expired ({key.expired_at})"))
    if real_money and not key.ips:
        found.append(("key_unbound", "the key is not bound to addresses"))
    return tuple(found)


def faults_of_account(account: AccountInfo) -> Faults:
    """Return why an account may not be used as it is set."""
    found = []
    if not account.is_unified_2:
        found.append(("account_kind", "the account is not a unified one of the second kind"))
    if account.margin_mode == MarginMode.PORTFOLIO.value:
        found.append(("margin_mode", "portfolio margin: risks cannot be told apart by coin"))
    return tuple(found)


def _expired(text: str, now_ms: int) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    at_ms = int(moment.timestamp() * 1000)
    return 0 < at_ms <= now_ms  # the epoch stands for "never"
