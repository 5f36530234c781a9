"""Which lake a command means: the one named, else ZION_LAKE, else <ZION_HOME>/lake."""

from pathlib import Path

HELP = "Folder of the lake; else ZION_LAKE, else <ZION_HOME>/lake."


def lake_folder(named: Path | None) -> Path:
    """Return the folder of the lake, whether it exists or not: reading says so, writing makes it.

    Raises
    ------
    DataError
        A setting that cannot be used.
    """
    from live.settings import load_settings  # the one reader of the environment; slow to import

    settings = load_settings(lake=named).settings
    return settings.lake or settings.home / "lake"
