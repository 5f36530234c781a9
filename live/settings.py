"""The only reader of the environment: `zion.toml`, then `ZION_*`, every value with its source."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, TomlConfigSettingsSource

from engine.bars import INTERVAL_MS
from engine.errors import DataError

CONFIG_FILE = "zion.toml"


def _env(name: str, *more: str) -> AliasChoices:
    return AliasChoices(name, *more)


class Settings(BaseSettings):
    """Every setting of the product; each has a description, and a test fails when one has not."""

    model_config = SettingsConfigDict(
        env_prefix="ZION_",
        extra="forbid",
        frozen=True,
        validate_default=True,
        populate_by_name=True,
    )

    home: Path = Field(default=Path("var"), description="Folder for everything the product writes.")
    lake: Path | None = Field(
        default=None, description="Lake of history; without it `<home>/lake` when that exists."
    )
    port: int = Field(
        default=8000,
        ge=0,
        le=65535,
        validation_alias=_env("port", "PORT", "ZION_PORT"),
        description="Port of the API and the pages; PORT or ZION_PORT sets it. 0 = any free one.",
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    database_url: SecretStr = Field(
        default=SecretStr(""),
        validation_alias=_env("database_url", "DATABASE_URL", "ZION_DATABASE_URL"),
        description="`sqlite:///FILE` or `postgresql://...`; without it `<home>/zion.db`.",
    )
    keys_file: Path | None = Field(
        default=None,
        description="Users' exchange keys as JSON, mode 0600; the simulator needs none.",
    )
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port of the metrics; without it there are none."
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Address the metrics listen on; keep it inside."
    )
    venue: Literal["sim", "paper", "demo", "testnet", "live"] = Field(
        default="sim", description="Highest mode this deployment allows."
    )
    rest_url: str = Field(
        default="http://127.0.0.1:8010", description="Base address of the venue's REST interface."
    )
    ws_url: str = Field(
        default="ws://127.0.0.1:8010",
        description="Base address of the venue's streams (without path).",
    )
    bybit_key: str = Field(
        default="", description="Key of a demo or testnet account, for `zion venue check` only."
    )
    bybit_secret: SecretStr = Field(
        default=SecretStr(""), description="Its secret; best given by the environment alone."
    )
    interval: str = Field(default="15m", description="Interval the market layer watches.")
    profile: str = Field(default="default", description="Detector profile the market layer runs.")
    turnover_min_usdt: float = Field(
        default=5_000_000.0,
        ge=0,
        description="Least turnover in 24 h for a coin to be watched, USDT.",
    )
    listed_min_days: float = Field(
        default=30.0, ge=0, description="Least days since listing for a coin to be watched."
    )
    blacklist: frozenset[str] = Field(
        default=frozenset(), description="Symbols never watched (a JSON list in the environment)."
    )
    window_bars: int = Field(
        default=1000, ge=2, le=100_000, description="Bars kept in memory per symbol for charts."
    )
    warmup_bars: int = Field(
        default=2000,
        ge=1,
        le=100_000,
        description="Bars replayed by a detector that starts from nothing.",
    )
    universe_refresh_s: float = Field(
        default=3600.0, gt=0, description="Seconds between two looks at the list of instruments."
    )
    grace_s: float = Field(
        default=3.0,
        gt=0,
        description="Seconds a closing bar may lag its peers before REST is asked.",
    )
    settle_s: float = Field(
        default=10.0,
        ge=0,
        description="Seconds after a close from which a bar unknown to REST does not exist.",
    )
    silence_s: float = Field(
        default=90.0,
        gt=0,
        description="Seconds without a message of a topic before it is asked for anew.",
    )
    signal_fresh_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds after its close for which a breakout found late is still told.",
    )
    snapshot_every_s: float = Field(
        default=60.0, gt=0, description="Seconds between two snapshots of the detector's state."
    )

    @field_validator("interval")
    @classmethod
    def _known_interval(cls, value: str) -> str:
        if value not in INTERVAL_MS:
            raise ValueError(f"one of {', '.join(INTERVAL_MS)}")
        return value

    @property
    def database_address(self) -> str:
        """The database to use; it may hold a password: never to be shown as it is."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.home / 'zion.db'}"

    @property
    def lake_path(self) -> Path | None:
        """The lake to use: the one named, else the one at home when it exists, else None."""
        if self.lake is not None:
            return self.lake
        own = self.home / "lake"
        return own if own.is_dir() else None


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each came from: ``default``, the file, a variable, ``argument``."""

    settings: Settings
    sources: Mapping[str, str]


def environment_names(field: str) -> tuple[str, ...]:
    """Return the variables that set a field, the first one set counts."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices if str(choice).isupper())
    return (f"ZION_{field.upper()}",)


def load_settings(
    environ: Mapping[str, str] | None = None, *, file: Path | None = None, **arguments: Any
) -> Loaded:
    """Read the settings: arguments before environment before file before defaults.

    Parameters
    ----------
    environ : mapping, optional
        The environment; the process's own by default.
    file : Path, optional
        The TOML file; ``zion.toml`` in the working folder by default, absent is fine.
    arguments
        Values from a command line; None means not given.

    Raises
    ------
    DataError
        A value is impossible, a key of the file is unknown, or the file is not TOML.
        Says which and where.
    """
    environ = os.environ if environ is None else environ
    path = Path(CONFIG_FILE) if file is None else file
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    for name, value in _read_file(path).items():
        values[name] = value
        sources[name] = path.name
    for name in Settings.model_fields:
        for variable in environment_names(name):
            if environ.get(variable, "") != "":
                values[name] = _decoded(name, environ[variable])
                sources[name] = variable
                break
    for name, value in arguments.items():
        if value is not None:
            values[name] = value
            sources[name] = "argument"
    try:
        # model_validate, not Settings(...): the constructor would read the real environment again.
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise _told(error, sources) from error
    return Loaded(settings, sources)


def _decoded(name: str, text: str) -> Any:
    if name != "blacklist":
        return text
    return [part for part in text.strip("[] ").replace('"', "").replace(" ", "").split(",") if part]


def _read_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = TomlConfigSettingsSource(Settings, path)()
    except ValueError as error:
        raise DataError(f"{path} is not valid TOML", why=str(error)) from error
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        raise DataError(
            f"{path}: unknown setting {', '.join(unknown)}",
            hint=f"known are {', '.join(sorted(Settings.model_fields))}",
        )
    return values


def _told(error: ValidationError, sources: Mapping[str, str]) -> DataError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    field = name.lower().removeprefix("zion_")
    source = sources.get(field, "argument")
    known = Settings.model_fields.get(field)
    given = "(not shown)" if known and known.annotation is SecretStr else repr(first.get("input"))
    return DataError(
        f"setting {field} = {given} ({source}) cannot be used",
        why=str(first["msg"]),
        hint=(known.description or "") if known else "",
    )
