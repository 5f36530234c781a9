"""Hypothesis profiles and the way to the real market history beside the checkout."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("quick", max_examples=20, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("deep", max_examples=300, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("ZION_HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def shared_lake() -> Path:
    """Return the lake of real history, or skip with a clear word."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    root = Path(os.environ.get("ZION_SHARED", beside)) / "data" / "lake"
    if not root.is_dir():
        pytest.skip("no real market history: set ZION_SHARED or put it beside the checkout")
    return root
