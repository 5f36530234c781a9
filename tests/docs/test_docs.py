"""Every command, setting, link and target that a document names is there, and the reverse."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import typer

from app.cli.main import COMMANDS, main
from data.profiles import load_profile, shipped_profiles
from engine.pipeline.detector import DetectorParams
from engine.pipeline.market import MarketParams
from engine.pipeline.profile import RANGES
from live.settings import Settings
from tests.docs.settings_page import PAGE, page

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    p
    for p in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)
)
TEXTS = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in PAGES}
ALL_TEXT = "\n".join(TEXTS.values())


def _subcommands(name: str) -> list[list[str]]:
    app: typer.Typer = importlib.import_module(COMMANDS[name][0]).app
    named = [c.name or c.callback.__name__ for c in app.registered_commands]
    return [[name]] if len(named) < 2 else [[name], *([name, str(sub)] for sub in named)]


EVERY_COMMAND = [words for name in COMMANDS for words in _subcommands(name)]


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_every_command_helps_with_an_example_in_eighty_columns(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    said = capsys.readouterr()
    assert caught.value.code == 0
    example = " ".join(said.out.split())
    assert "Example:" in example
    assert f"zion {words[0]}" in example.split("Example:")[1]
    assert max(map(len, said.out.splitlines())) <= 80
    assert "\x1b" not in said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_in_the_readme(name):
    assert f"`zion {name}`" in TEXTS["README.md"]


def test_every_command_a_document_names_exists():
    subs = {" ".join(words[:2]) for words in EVERY_COMMAND}
    for page_name, text in TEXTS.items():
        for name, sub in re.findall(r"(?:`|^ +)zion ([a-z]+)(?: ([a-z]+)(?=[ `]))?", text, re.M):
            assert name in COMMANDS, f"{page_name} names zion {name}"
            assert name != "data" or not sub or f"data {sub}" in subs, f"{page_name}: {name} {sub}"


def test_every_option_of_a_command_in_the_readme_exists(capsys):
    lines = re.findall(r"zion ([a-z]+)((?: [^`\n#]*)?)", TEXTS["README.md"])
    for name, rest in lines:
        options = re.findall(r"--[a-z-]+", rest)
        words = [name, *([rest.split()[0]] if name == "data" and rest.split() else [])]
        if not options:
            continue
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        assert set(options) <= known, f"zion {' '.join(words)}: {set(options) - known}"


def test_settings_page_is_made_from_the_settings():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.docs.settings_page"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name):
    description = Settings.model_fields[name].description or ""
    assert description.endswith("."), f"{name}: a sentence, please"
    assert f"| `{name}` |" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("where", TEXTS)
def test_relative_links_lead_somewhere(where):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", TEXTS[where]):
        if "://" not in target and not target.startswith("mailto:"):
            assert ((ROOT / where).parent / target).exists(), f"{where} links to {target}"


def test_every_make_target_a_document_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", ALL_TEXT, re.M))
    assert named
    assert named <= targets, named - targets
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M).group(1).split())
    assert targets == phony


@pytest.mark.parametrize("stem", shipped_profiles())
def test_every_profile_loads_and_names_its_file(stem):
    interval, name = stem.split("-", 1)
    profile = load_profile(name, interval)
    assert profile.id == f"{stem}@{profile.version}"
    given = tomllib.loads(shipped_profiles()[stem].read_text(encoding="utf-8"))
    for section, values in given.items():
        if isinstance(values, dict) and section not in {"plan", "known"}:
            assert {f"{section}.{key}" for key in values} <= set(RANGES)


def test_every_parameter_has_a_range_and_every_range_a_parameter():
    groups = {k: type(v) for k, v in DetectorParams._field_defaults.items() if k != "meta"}
    groups["market"] = MarketParams
    names = {f"{group}.{field}" for group, kind in groups.items() for field in kind._fields}
    assert names == set(RANGES)
    assert all(low < high for low, high in RANGES.values())


@pytest.mark.parametrize("where", TEXTS)
def test_paths_in_backticks_exist(where):
    rooms = ("engine/", "data/", "research/", "live/", "app/", "tests/", "docs/")
    for path in re.findall(r"`([a-z_]+/[\w./-]*\w)`", TEXTS[where]):
        if path.startswith(rooms) and "*" not in path:
            found = any((ROOT / f"{path}{end}").exists() for end in ("", ".py"))
            assert found, f"{where} names {path}"
