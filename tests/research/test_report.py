"""The page about a run: complete, self-contained, safe, honest about few trades."""

import re
from dataclasses import replace

import numpy as np
import pytest

from engine.pipeline.profile import Known
from engine.stats.metric import Metric
from research.backtest import backtest
from research.report import render, words


@pytest.fixture(scope="module")
def page(filed):
    return render(filed, "zion backtest --again")


def own(page):
    """Return the page without the charting library."""
    scripts = re.findall(r"<script>.*?</script>", page, re.S)
    return page.replace(max(scripts, key=len), "")


def test_page_stands_alone_and_is_small_enough(page):
    assert len(page.encode()) < 6_000_000
    assert not re.search(r"(src|href)=\"(https?:)?//", own(page))
    assert "@import" not in own(page)


def test_page_shows_command_hashes_verdict_and_trades(page, filed):
    text = own(page)
    for wanted in (
        "zion backtest --again", filed.hashes["data"], filed.hashes["code"], "SIM", "Fig 9",
        "What was assumed", words.verdict(filed.metrics, len(filed.trades)).text,
    ):  # fmt: skip
        assert wanted in text
    best = filed.trades.sort("r")["trade_id"][-1]
    assert f'id="trade-{best}"' in text
    assert f"All {len(filed.trades)} trades" in text


def test_every_place_for_a_figure_has_one(page):
    import json

    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.S).group(1))
    places = re.findall(r'data-figure="([^"]+)"', page)
    assert len(places) > 20
    assert set(places) == set(figures)


def test_hostile_names_stay_text(filed):
    evil = "</script><img onerror=alert(1)>"
    text = own(render(filed, evil))
    assert "<img onerror" not in text


def test_few_trades_are_not_turned_into_figures(lake, filed):
    some = backtest(lake, symbols=filed.symbols[:1])
    assert 0 < len(some.trades) < 30
    text = own(render(some))
    assert f"Too few trades to say ({len(some.trades)} of 30)." in text


def test_a_run_without_trades_has_a_page(lake, filed):
    nothing = backtest(lake, symbols=filed.symbols[:1], start_ms=filed.last_ts - 900_000)
    assert "There are no trades." in render(nothing)


@pytest.mark.parametrize(
    ("edge", "excess", "n", "lean"),
    [
        ((0.1, 0.3), (0.05, 0.2), 400, "up"),
        ((0.1, 0.3), (-0.05, 0.2), 400, "none"),
        ((-0.1, 0.3), (0.05, 0.2), 400, "none"),
        ((-0.1, 0.3), (-0.05, 0.2), 400, "none"),
        ((-0.3, -0.1), (-0.3, 0.2), 400, "down"),
        ((0.1, 0.3), (0.05, 0.2), 29, "few"),
        ((np.nan, np.nan), (np.nan, np.nan), 400, "few"),
    ],
)
def test_verdict_follows_the_intervals(edge, excess, n, lean):
    metrics = {
        "expectancy_r": Metric("expectancy_r", 0.1, "R", "", n, *edge),
        "excess_r": Metric("excess_r", 0.1, "R", "", n, *excess),
    }
    assert words.verdict(metrics, n).lean == lean


def test_seen_history_is_never_called_an_edge():
    known = Known(1_704_067_200_000, 1_709_251_200_000, 2470)
    metrics = {
        "expectancy_r": Metric("expectancy_r", 0.2, "R", "", 400, 0.1, 0.3),
        "excess_r": Metric("excess_r", 0.2, "R", "", 400, 0.1, 0.3),
    }
    said = words.verdict(metrics, 400, known)
    assert said.lean == "none"
    assert "no edge" in said.text
    assert "2024-01-01 to 2024-02-29" in said.note
    assert "2,470" in said.note
    assert not words.verdict(metrics, 400).note
    assert words.verdict(metrics, 3, known).note


def test_the_page_says_what_the_profile_has_seen(filed):
    seen = replace(filed, known=Known(1_704_067_200_000, 1_709_251_200_000, 2470))
    assert "put together on data" in own(render(seen))
    assert "put together on data" not in own(render(filed))


def test_numbers_carry_real_signs():
    assert words.signed(-0.04) == "−0.04"
    assert words.signed(0.0) == "0.00"
    assert words.signed(1.234) == "+1.23"
    assert words.number(-0.001) == "0.00"
    assert words.number(float("nan")) == "—"
    assert words.number(12345.6, 0) == "12,346"
    assert words.duration(19 * 3_600_000) == "19 h"
    assert words.duration(26 * 3_600_000) == "1 d 2 h"
