"""A user's settings: which signals, how they are traded, and the limits that hold.

Every number has its range in `engine/risk/ranges.py`, every default its reason beside it.
"""

from decimal import Decimal

import msgspec

from engine.risk.limits import RiskLimits


class UserSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a user's settings."""

    profile: str = "default"
    intervals_ms: tuple[int, ...] = (900_000,)
    timezone: str = "UTC"  # of the daily loss limit
    symbols_allow: tuple[str, ...] = ()  # empty: every watched coin
    symbols_deny: tuple[str, ...] = ()
    groups: dict[str, str] = {}  # symbol -> correlation group; without one: "alts"
    entry_mode: str = "retest"  # retest | next_open (market)
    level_kind: int = -1
    retest_batr: Decimal = Decimal("0.1")
    retest_bars: int = 24
    chase_max_batr: Decimal = Decimal("2.5")
    stop_floor_batr: Decimal = Decimal("0.25")
    stop_max_batr: Decimal = Decimal(6)
    tp1_r: Decimal = Decimal(1)
    tp1_share: Decimal = Decimal("0.5")
    trail_batr: Decimal = Decimal(3)
    time_stop_bars: int = 480
    exit_on_failed: bool = False
    cancel_on_end: bool = True  # a resting entry goes when its setup fails
    leverage: Decimal = Decimal(5)  # set at the venue before the first entry of a coin
    level_score_min: float = 0.0
    residual_share_min: float = 0.0
    taker_fee: Decimal = Decimal("0.00055")
    maker_fee: Decimal = Decimal("0.0002")
    risk: RiskLimits = RiskLimits()


STANDARD = UserSettings()
CAREFUL = UserSettings(
    leverage=Decimal(3),
    risk=RiskLimits(
        risk_per_trade=Decimal("0.0025"),
        trades_max=3,
        total_risk_max=Decimal("0.01"),
        daily_loss_max=Decimal("0.01"),
        margin_use_max=Decimal("0.15"),
        leverage_max=Decimal(3),
    ),
)
