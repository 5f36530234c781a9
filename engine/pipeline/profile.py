"""A profile: a named, versioned, hashed set of all parameters."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import NamedTuple, cast

from engine.bars import interval_ms
from engine.errors import DataError
from engine.pipeline.detector import DetectorParams, MetaParams
from engine.pipeline.market import MarketParams
from engine.pipeline.phase import PEAK_CAPACITY

# Smallest and largest value of every parameter; outside of it a profile is refused.
RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "monitor.n_atr": (2, 500),
        "monitor.n_slow": (10, 5000),
        "monitor.window": (16, PEAK_CAPACITY - 1),
        "monitor.k_zz": (0.5, 10),
        "monitor.gap_max": (0, 12),
        "dump.d_min": (0.005, 0.5),
        "dump.z_min": (0, 10),
        "dump.k_atr": (0, 50),
        "stabilization.calm_bars": (1, 1000),
        "stabilization.n_stab": (1, 1000),
        "stabilization.atr_contraction": (0.05, 2),
        "stabilization.stab_max": (2, 5000),
        "stabilization.recovery": (0.1, 1),
        "base.base_min": (8, 5000),
        "base.base_max": (16, 20000),
        "base.batr_bars": (8, 2000),
        "base.reanchor": (0, 1),
        "base.floor_quantile": (0, 1),
        "base.height_min": (0, 20),
        "base.height_share_max": (0.05, 2),
        "base.drift_max": (0.01, 5),
        "base.er_max": (0.01, 1),
        "base.kappa_max": (0.1, 99),
        "base.spring": (0, 5),
        "base.shelf_break": (0, 10),
        "base.recovery": (0.1, 1),
        "armed.zone_half_width": (0.05, 3),
        "armed.level_mode": (0, 2),
        "armed.members_min": (1, 10),
        "armed.score_min": (-10, 3),
        "armed.hysteresis": (0, 2),
        "armed.hysteresis_down": (1, 20),
        "armed.top_share": (0, 1),
        "armed.touches_min": (0, 10),
        "armed.touch_batr": (0, 5),
        "armed.touch_height": (0, 1),
        "armed.change_gap_bars": (0, 1000),
        "armed.tau": (0.1, 20),
        "armed.w_touch": (0, 10),
        "armed.w_edge": (0, 10),
        "armed.w_polarity": (0, 10),
        "armed.w_round": (0, 10),
        "armed.w_over": (0, 10),
        "armed.disarm_height": (1, 10),
        "armed.disarm_drift": (1, 10),
        "armed.disarm_above_batr": (0, 50),
        "breakout.buffer_batr": (0, 5),
        "breakout.body_min": (-1, 1),
        "breakout.clv_min": (0, 1),
        "breakout.relvol_min": (0, 20),
        "breakout.chase_max_batr": (0, 50),
        "breakout.fail_bars": (0, 1000),
        "breakout.attempts_max": (1, 10),
        "breakout.cool_bars": (1, 5000),
        "market.breadth_bars": (2, 5000),
        "market.fall_bars": (2, 5000),
        "market.breadth_fall": (0.001, 0.9),
    }
)


_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000


class Known(NamedTuple):
    """History that was looked at before a profile was settled: a good result there proves nothing.

    `start_ms` to `end_ms` (exclusive), UTC; `trials` is how much was tried on it.
    """

    start_ms: int
    end_ms: int
    trials: int

    def overlaps(self, start_ms: int, end_ms: int) -> bool:
        """Tell whether any of [start, end) ms was seen."""
        return start_ms < self.end_ms and self.start_ms < end_ms


@dataclass(frozen=True, slots=True)
class Profile:
    """One parameter set under its name.

    Attributes
    ----------
    name, interval, version
        As in the file; ``id`` reads ``15m-default@1``.
    params : DetectorParams
        Carries version and hash into every event.
    market : MarketParams
    plan : mapping
        The trade plan's raw values, read by the plan's own parameters.
    params_hash : int
        Signed 64 bit over interval, detector and market values; the plan does not enter it, since
        it changes no event.
    known : Known or None
        What was seen before the profile was settled; None: it does not say.
    """

    name: str
    interval: str
    version: int
    params: DetectorParams
    market: MarketParams
    plan: Mapping[str, float | int | str]
    params_hash: int
    known: Known | None = None

    @property
    def id(self) -> str:
        """The name a person reads."""
        return f"{self.interval}-{self.name}@{self.version}"


def _group(cls: type, values: Mapping[str, object], where: str, source: str) -> NamedTuple:
    fields: Mapping[str, object] = cls._field_defaults
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise DataError(
            f"profile {source}: unknown parameter {where}.{unknown[0]}",
            hint=f"known in [{where}]: {', '.join(fields)}",
        )
    out: dict[str, float] = {}
    for name, default in fields.items():
        value = values.get(name, default)
        low, high = RANGES[f"{where}.{name}"]
        whole = isinstance(default, int)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(f"profile {source}: {where}.{name} must be a number, is {value!r}")
        if not low <= value <= high:
            raise DataError(
                f"profile {source}: {where}.{name} = {value} is out of range",
                hint=f"from {low:g} to {high:g}",
            )
        if whole and value != int(value):
            raise DataError(f"profile {source}: {where}.{name} must be a whole number, is {value}")
        # numba compiles anew for an int where a float stood
        out[name] = int(value) if whole else float(value)
    return cls(**out)


def _consistent(params: DetectorParams, market: MarketParams, source: str) -> None:
    if market.breadth_bars > market.fall_bars:
        raise DataError(f"profile {source}: market.breadth_bars exceeds market.fall_bars")
    if params.monitor.n_slow < params.monitor.n_atr:
        raise DataError(f"profile {source}: monitor.n_slow is below monitor.n_atr")
    if params.base.base_max <= params.base.base_min:
        raise DataError(f"profile {source}: base.base_max must exceed base.base_min")
    if params.breakout.cool_bars < params.breakout.fail_bars:
        raise DataError(f"profile {source}: breakout.cool_bars is below breakout.fail_bars")


def profile_hash(interval: str, params: DetectorParams, market: MarketParams) -> int:
    """Return the hash of everything that decides an event."""
    groups = {**params._asdict(), "market": market}
    groups.pop("meta")
    lines = [
        f"{group}.{name}={float(value).hex()}"
        for group, values in sorted(groups.items())
        for name, value in sorted(values._asdict().items())
    ]
    text = "\n".join([interval, *lines]).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)


def _known(values: Mapping[str, object], source: str) -> Known | None:
    if not values:
        return None
    unknown = sorted(set(values) - {"start", "end", "trials"})
    if unknown:
        raise DataError(
            f"profile {source}: unknown parameter known.{unknown[0]}",
            hint="known in [known]: start, end, trials",
        )
    start, end, trials = values.get("start"), values.get("end"), values.get("trials")
    for name, day in (("start", start), ("end", end)):
        if type(day) is not date:
            raise DataError(f"profile {source}: known.{name} must be a day, as 2024-01-31")
    start, end = cast("date", start), cast("date", end)
    if end <= start:
        raise DataError(f"profile {source}: known.end is not after known.start")
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise DataError(f"profile {source}: known.trials must be a whole number from 1")
    return Known((start - _EPOCH).days * _DAY_MS, (end - _EPOCH).days * _DAY_MS, trials)


def profile_of(mapping: Mapping[str, object], *, source: str = "given") -> Profile:
    """Build a profile from a mapping with the sections of a profile file.

    Raises
    ------
    DataError
        Naming the parameter: unknown, of the wrong type, out of range, or inconsistent.
    """
    sections = {
        "monitor",
        "dump",
        "stabilization",
        "base",
        "armed",
        "breakout",
        "market",
        "plan",
        "known",
    }
    unknown = sorted(set(mapping) - sections - {"name", "interval", "version"})
    if unknown:
        raise DataError(f"profile {source}: unknown section {unknown[0]!r}")
    missing = [k for k in ("name", "interval", "version") if k not in mapping]
    if missing:
        raise DataError(f"profile {source}: {missing[0]} is missing")
    interval = str(mapping["interval"])
    interval_ms(interval)

    def section(name: str) -> Mapping[str, object]:
        values = mapping.get(name, {})
        if not isinstance(values, Mapping):
            raise DataError(f"profile {source}: {name} must be a section, is {values!r}")
        return values

    annotations = {k: type(v) for k, v in DetectorParams._field_defaults.items() if k != "meta"}
    groups = {k: _group(cls, section(k), k, source) for k, cls in annotations.items()}
    bare = DetectorParams(**groups)  # pyrefly: ignore[bad-argument-type]
    market = cast("MarketParams", _group(MarketParams, section("market"), "market", source))
    _consistent(bare, market, source)
    digest = profile_hash(interval, bare, market)
    version = mapping["version"]
    if isinstance(version, bool) or not isinstance(version, int):
        raise DataError(f"profile {source}: version must be a whole number, is {version!r}")
    return Profile(
        name=str(mapping["name"]),
        interval=interval,
        version=version,
        params=bare._replace(meta=MetaParams(version=version, params_hash=digest)),
        market=market,
        plan=MappingProxyType(dict(cast("Mapping[str, float]", section("plan")))),
        params_hash=digest,
        known=_known(section("known"), source),
    )
