"""The shipped profiles (TOML beside this file) and how a profile is found."""

import tomllib
from pathlib import Path

from engine.errors import DataError
from engine.pipeline.profile import Profile, profile_of

_HERE = Path(__file__).parent


def shipped_profiles() -> dict[str, Path]:
    """Return the shipped profile files by id without version, e.g. ``15m-default``."""
    return {file.stem: file for file in sorted(_HERE.glob("*.toml"))}


def load_profile(name: str, interval: str) -> Profile:
    """Load a profile by name (``default``, ``15m-default``) or by the path of a TOML file.

    Raises
    ------
    DataError
        Unknown name, unreadable file, or a profile made for another interval.
    """
    known = shipped_profiles()
    path = Path(name)
    if path.suffix == ".toml":
        file = path
    elif name in known or f"{interval}-{name}" in known:
        file = known.get(f"{interval}-{name}") or known[name]
    else:
        names = sorted({stem.split("-", 1)[1] for stem in known})
        there = sorted({stem.split("-", 1)[0] for stem in known})
        raise DataError(
            f"no profile {name!r} for {interval}",
            hint=f"shipped: {', '.join(names)}, for {', '.join(there)}; or a path ending in .toml",
        )
    try:
        mapping = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"profile file {file} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"profile file {file} cannot be read", why=str(error)) from None
    profile = profile_of(mapping, source=file.name)
    if profile.interval != interval:
        raise DataError(
            f"profile {profile.id} is made for {profile.interval}, not {interval}",
            hint=f"--interval {profile.interval}, or another profile",
        )
    return profile
