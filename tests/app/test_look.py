"""Colours, recomputed from the style sheet; vendored bytes, against their sums."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import app.dashboard

FOLDER = Path(app.dashboard.__file__).parent
CSS = (FOLDER / "style.css").read_text(encoding="utf-8")
# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB
SIMULATIONS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
_LMS = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def tokens(theme: int) -> dict[str, str]:
    pairs = re.findall(r"--([a-z0-9]+): light-dark\(#([0-9A-F]{6}), #([0-9A-F]{6})\)", CSS)
    found = {name: (light, dark)[theme] for name, light, dark in pairs}
    found["live"] = re.search(r"--live: #([0-9A-F]{6})", CSS)[1]
    return found


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    la, lb = (float(linear(x) @ [0.2126, 0.7152, 0.0722]) for x in (a, b))
    return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    return np.array(_LAB) @ np.cbrt(np.array(_LMS) @ rgb)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["text", "muted", "accent", "up", "down", "warn"])
def test_text_can_be_read(theme: int, name: str) -> None:
    t = tokens(theme)
    for ground in ("surface", "bg", "raised"):
        assert contrast(t[name], t[ground]) >= 4.5, (name, ground)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("n", range(1, 7))
def test_the_number_on_a_phase_can_be_read(theme: int, n: int) -> None:
    t = tokens(theme)
    assert contrast(t["surface"], t[f"p{n}"]) >= 4.5


def test_white_on_the_live_badge_can_be_read() -> None:
    assert contrast("FFFFFF", tokens(0)["live"]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("kind", list(SIMULATIONS))
def test_up_and_down_differ_for_every_eye(theme: int, kind: str) -> None:
    t = tokens(theme)
    seen = [np.clip(np.array(SIMULATIONS[kind]) @ linear(t[x]), 0, 1) for x in ("up", "down")]
    assert np.linalg.norm(oklab(seen[0]) - oklab(seen[1])) * 100 >= 15


def test_pages_use_tokens_only() -> None:
    rules = CSS[CSS.index("}") :]
    assert set(re.findall(r"#[0-9A-Fa-f]{3,8}\b", rules)) <= {"#fff"}
    for path in [*FOLDER.glob("*.js"), *FOLDER.glob("*.py"), *FOLDER.glob("faces/*.py")]:
        assert not re.findall(r"['\"]#[0-9A-Fa-f]{6}['\"]", path.read_text(encoding="utf-8")), (
            path.name
        )


def test_vendored_files_are_what_was_published() -> None:
    sums = dict(
        reversed(line.split()) for line in (FOLDER / "vendor/SHA256SUMS").read_text().splitlines()
    )
    files = {p.name for p in (FOLDER / "vendor").iterdir()} - {"SHA256SUMS", "VERSION"}
    assert files == set(sums)
    for name, expected in sums.items():
        assert hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() == expected, name
    head = (FOLDER / "vendor/lightweight-charts.standalone.production.mjs").read_text()[:200]
    version = (FOLDER / "vendor/VERSION").read_text()
    assert "v5.2.1" in head
    assert "lightweight-charts 5.2.1" in version
    assert "inter 5.3.0" in version


def test_the_attribution_logo_is_kept() -> None:
    assert "attributionLogo: true" in (FOLDER / "chart.js").read_text()


def test_nothing_is_fetched_from_another_host() -> None:
    for path in [
        *FOLDER.glob("*.js"),
        *FOLDER.glob("*.css"),
        *FOLDER.glob("**/*.py"),
        FOLDER / ".streamlit/config.toml",
    ]:
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"https?://(?!www\.w3\.org)", text), path.name
