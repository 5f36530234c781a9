"""Names in the lake: folders `key=value`, and what to say of a name that is not there."""

import os
from difflib import get_close_matches
from pathlib import Path

from engine.errors import DataError

_NAMES_SHOWN = 8


def check_name(kind: str, name: str) -> None:
    """Refuse a venue or symbol that could not be a folder of the lake."""
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise DataError(
            f"{name!r} is no {kind} name", hint="letters, digits, '-', '_' and '.', as in BTCUSDT"
        )


def keys(folder: Path, key: str) -> list[str]:
    """Return the values of the folders `key=value`, by name."""
    prefix = f"{key}="
    names = (p.name for p in folder.iterdir() if p.name.startswith(prefix))
    return sorted(name.removeprefix(prefix) for name in names)


def parquet_files(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder by name, scraps left out; [] without a folder."""
    if not folder.is_dir():
        return []
    return sorted(
        p for p in folder.iterdir() if p.suffix == ".parquet" and not p.name.startswith(".")
    )


def holds_parquet(folder: Path) -> bool:
    """Tell whether a folder has a Parquet file; scraps and locks do not count."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(e.name.endswith(".parquet") and e.name[0] != "." for e in entries)


def unknown(kind: str, name: str, found: list[str], where: str) -> DataError:
    """Return the error for a name that is not there, with what is near or what there is."""
    near = get_close_matches(name, found, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif found:
        more = f" and {len(found) - _NAMES_SHOWN} more" if len(found) > _NAMES_SHOWN else ""
        hint = f"there is {', '.join(found[:_NAMES_SHOWN])}{more}"
    else:
        hint = "zion data list shows what there is"
    return DataError(f"unknown {kind} {name!r} {where}", hint=hint)
