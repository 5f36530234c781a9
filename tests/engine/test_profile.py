"""Profiles: what is shipped, what is refused and with which word, what the hash covers."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from data.profiles import load_profile, shipped_profiles
from engine.errors import DataError
from engine.pipeline.detector import DetectorParams
from engine.pipeline.profile import RANGES, profile_of

NAMES = ("default", "early", "strict", "v1")
INTERVALS = ("5m", "15m", "1h")


def _mapping(name: str = "15m-default") -> dict:
    return tomllib.loads(shipped_profiles()[name].read_text(encoding="utf-8"))


def test_four_detectors_for_three_intervals_all_distinct() -> None:
    profiles = [load_profile(n, i) for n in NAMES for i in INTERVALS]
    assert len({p.params_hash for p in profiles}) == 12
    assert {p.id for p in profiles} == {f"{i}-{n}@1" for n in NAMES for i in INTERVALS}
    for p in profiles:
        assert p.params.meta.params_hash == p.params_hash


# part C 2.1 and part A section 7 of the specification, in the order of NAMES
SPECIFIED = {
    ("15m", "stabilization", "n_stab"): (48, 48, 48, 16),
    ("15m", "stabilization", "atr_contraction"): (0.5, 0.5, 0.5, 0.75),
    ("15m", "base", "base_min"): (96, 96, 160, 40),
    ("15m", "base", "reanchor"): (1, 0, 1, 0),
    ("15m", "base", "floor_quantile"): (1, 1, 1, 0),
    ("15m", "armed", "hysteresis"): (0.25, 0.25, 0.12, 0.12),
    ("15m", "armed", "level_mode"): (1, 1, 0, 0),
    ("15m", "armed", "touches_min"): (2, 2, 2, 0),
    ("15m", "base", "base_max"): (768,) * 4,
    ("15m", "monitor", "window"): (192,) * 4,
    ("15m", "monitor", "n_slow"): (192,) * 4,
    ("15m", "dump", "d_min"): (0.06,) * 4,
    ("15m", "breakout", "fail_bars"): (8,) * 4,
    ("15m", "breakout", "cool_bars"): (16,) * 4,
    ("5m", "stabilization", "n_stab"): (144, 144, 144, None),
    ("5m", "base", "base_min"): (288, 288, 480, None),
    ("1h", "base", "reanchor"): (0, 0, None, 0),
    ("1h", "base", "floor_quantile"): (1, 1, 1, 0),
    ("1h", "stabilization", "n_stab"): (10, 10, None, 10),
    ("1h", "monitor", "window"): (96,) * 4,
    ("1h", "monitor", "n_slow"): (168,) * 4,
    ("1h", "dump", "d_min"): (0.10,) * 4,
    ("1h", "dump", "k_atr"): (6.0,) * 4,
}


@pytest.mark.parametrize(
    ("where", "values"), SPECIFIED.items(), ids=lambda x: "-".join(map(str, x))
)
def test_the_specified_parameters(where: tuple[str, str, str], values: tuple) -> None:
    interval, group, name = where
    for profile, value in zip(NAMES, values, strict=True):
        if value is not None:
            params = load_profile(profile, interval).params
            assert getattr(getattr(params, group), name) == value, profile


@pytest.mark.parametrize("key", RANGES)
def test_every_parameter_moves_the_hash_and_is_bounded(key: str) -> None:
    group, name = key.split(".")
    base = profile_of(_mapping())
    low, high = RANGES[key]
    hashes = set()
    for value in (low, high):
        moved = _mapping()
        moved[group][name] = value
        try:
            hashes.add(profile_of(moved).params_hash)
        except DataError as error:  # two parameters that contradict each other
            assert "below" in str(error) or "exceed" in str(error)  # noqa: PT017
    assert hashes - {base.params_hash}, "the hash does not see it"
    for value in (low - 1, high + 1, float("nan"), "much", True):
        wrong = _mapping()
        wrong[group][name] = value
        with pytest.raises(DataError, match=name):
            profile_of(wrong)


def test_every_parameter_of_the_code_has_a_range() -> None:
    groups = {k: v for k, v in DetectorParams()._asdict().items() if k != "meta"}
    known = {f"{g}.{n}" for g, values in groups.items() for n in values._asdict()}
    assert known | {k for k in RANGES if k.startswith("market.")} == set(RANGES)


def test_the_plan_changes_no_event_and_no_hash() -> None:
    other = _mapping()
    other["plan"]["time_stop_bars"] = 7
    assert profile_of(other).params_hash == profile_of(_mapping()).params_hash
    renamed = _mapping() | {"name": "mine", "version": 9}
    assert profile_of(renamed).params_hash == profile_of(_mapping()).params_hash


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"monitors": {}}, "monitors"),
        ({"armed": {"touchs_min": 2}}, "touchs_min"),
        ({"base": {"base_min": 12.5}}, "whole number"),
        ({"base": {"base_min": 300, "base_max": 200}}, "base_max"),
        ({"monitor": {"n_slow": 10, "n_atr": 14}}, "n_slow"),
        ({"breakout": {"cool_bars": 2, "fail_bars": 8}}, "cool_bars"),
        ({"interval": "7m"}, "7m"),
    ],
)
def test_a_wrong_profile_is_refused_by_name(change: dict, word: str) -> None:
    with pytest.raises(DataError, match=word):
        profile_of(_mapping() | change)


@pytest.mark.parametrize("missing", ["name", "interval", "version"])
def test_a_profile_says_who_it_is(missing: str) -> None:
    mapping = _mapping()
    del mapping[missing]
    with pytest.raises(DataError, match=missing):
        profile_of(mapping)


def test_finding_profiles(tmp_path: Path) -> None:
    assert load_profile("15m-default", "15m") == load_profile("default", "15m")
    with pytest.raises(DataError, match="nosuch"):
        load_profile("nosuch", "15m")
    with pytest.raises(DataError, match="1h"):
        load_profile("1h-default", "15m")
    mine = tmp_path / "mine.toml"
    with pytest.raises(DataError, match="does not exist"):
        load_profile(str(mine), "15m")
    mine.write_text("name = [", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        load_profile(str(mine), "15m")
    mine.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        load_profile(str(mine), "15m")
    mine.write_bytes(shipped_profiles()["15m-default"].read_bytes())
    assert load_profile(str(mine), "15m").params_hash == load_profile("default", "15m").params_hash


@pytest.mark.parametrize("value", ["x", 1, [1, 2]])
def test_a_section_or_version_of_the_wrong_shape_is_refused(value: object) -> None:
    for key in ("armed", "version"):
        if key == "version" and value == 1:
            continue
        with pytest.raises(DataError):
            profile_of(_mapping() | {key: value})


def test_every_shipped_profile_says_which_history_it_has_seen() -> None:
    for name, path in shipped_profiles().items():
        known = load_profile(name, name.split("-")[0]).known
        assert known is not None, path
        assert known.start_ms < known.end_ms
        assert known.trials > 1


def test_what_a_profile_has_seen_overlaps_or_not_and_changes_no_hash() -> None:
    seen = {"start": date(2024, 1, 1), "end": date(2024, 3, 1), "trials": 7}
    bare = {k: v for k, v in _mapping().items() if k != "known"}
    profile = profile_of(bare | {"known": seen})
    assert profile_of(bare).known is None
    assert profile.params_hash == profile_of(bare).params_hash
    known = profile.known
    assert known is not None
    day = 86_400_000
    assert known == (19_723 * day, 19_783 * day, 7)
    assert known.overlaps(known.start_ms - day, known.start_ms + 1)
    assert not known.overlaps(known.start_ms - day, known.start_ms)
    assert known.overlaps(known.end_ms - 1, known.end_ms + day)
    assert not known.overlaps(known.end_ms, known.end_ms + day)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"start": "2024-01-01"}, "known.start"),
        ({"end": date(2023, 1, 1)}, "known.end"),
        ({"trials": 0}, "known.trials"),
        ({"trials": True}, "known.trials"),
        ({"trails": 3}, "known.trails"),
    ],
)
def test_a_wrong_word_on_what_was_seen_is_refused(change: dict, word: str) -> None:
    seen = {"start": date(2024, 1, 1), "end": date(2024, 3, 1), "trials": 7}
    with pytest.raises(DataError, match=word):
        profile_of(_mapping() | {"known": seen | change})
