"""A user's settings from a preset's name or a file, checked; what is wrong is told in words."""

from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import DataError

if TYPE_CHECKING:
    from engine.account.settings import UserSettings

HINT = "standard, careful, or a TOML or JSON file of settings"


def read_settings(text: str) -> "UserSettings":
    """Return the settings of a preset's name or of a file.

    Raises
    ------
    DataError
        No such file, not TOML or JSON, a name or a value that is none; the first of them is named.
    """
    import msgspec

    from engine.account.settings import CAREFUL, STANDARD, UserSettings
    from engine.risk.ranges import check_settings

    presets = {"standard": STANDARD, "careful": CAREFUL}
    if text in presets:
        return presets[text]
    values = _read(Path(text))
    _known(text, values, UserSettings.__struct_fields__)
    risk = values.get("risk", {})
    if isinstance(risk, Mapping):
        _known(text, risk, type(STANDARD.risk).__struct_fields__, "risk.")
    try:
        settings = msgspec.convert(values, UserSettings, strict=False)
    except (msgspec.ValidationError, ArithmeticError, ValueError) as error:
        raise DataError(f"{text} holds no settings", why=str(error), hint=HINT) from error
    problems = check_settings(settings)
    if problems:
        raise DataError(f"{text}: {problems[0]}", why="; ".join(problems[1:]))
    return settings


def _read(path: Path) -> dict[str, Any]:
    import json
    import tomllib

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or str(error)
        raise DataError(f"settings {str(path)!r} cannot be read", why=why, hint=HINT) from error
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text, parse_float=Decimal)
        values = json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise DataError(f"{path} holds no settings", why=str(error), hint=HINT) from error
    if not isinstance(values, dict):
        raise DataError(f"{path} holds no settings", why="it is no table of names", hint=HINT)
    return values


def _known(text: str, values: Mapping[str, Any], names: tuple[str, ...], prefix: str = "") -> None:
    for name in values:
        if name not in names:
            near = get_close_matches(name, names, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"known: {', '.join(names)}"
            raise DataError(f"{text}: unknown setting {prefix}{name}", hint=hint)
