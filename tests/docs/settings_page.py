"""docs/settings.md, made from the settings themselves: `python -m tests.docs.settings_page`."""

from pathlib import Path

from live.settings import Settings, environment_names

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_HEAD = """# Settings

Read once, at the start: arguments of the command, then the environment, then `zion.toml` in
the working folder, then the default. An unknown key of the file or an impossible value stops
the start and names where it stands.

| in `zion.toml` | in the environment | default | what it is |
|---|---|---|---|
"""


def page() -> str:
    """Return the whole page."""
    rows = []
    for name, field in Settings.model_fields.items():
        variables = ", ".join(f"`{v}`" for v in environment_names(name))
        default = field.get_default(call_default_factory=True)
        shown = (
            "" if default is None or not str(default) or default == frozenset() else f"`{default}`"
        )
        rows.append(f"| `{name}` | {variables} | {shown} | {field.description} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
