"""What every test may use: hypothesis profiles, and real history where it is at hand."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_SLOW_OK = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("quick", deadline=None, max_examples=50, suppress_health_check=_SLOW_OK)
settings.register_profile(
    "uncompiled", deadline=None, max_examples=2, suppress_health_check=_SLOW_OK
)
settings.register_profile("deep", deadline=None, max_examples=400, suppress_health_check=_SLOW_OK)
# few and always the same examples: a mutant must be found by what is plain
settings.register_profile(
    "mutants",
    deadline=None,
    max_examples=8,
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)
settings.load_profile(os.environ.get("ZION_HYPOTHESIS_PROFILE", "quick"))

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material: ZION_SHARED, else `shared` beside the checkout."""
    path = Path(os.environ.get("ZION_SHARED", REPOSITORY.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no reference material at {path} (set ZION_SHARED)")
    return path


@pytest.fixture(scope="session")
def shared_lake(shared: Path) -> Path:
    """Real history as a read-only lake; the test is skipped where there is none."""
    path = shared / "data" / "lake"
    if not path.is_dir():
        pytest.skip(f"no real market history at {path}")
    return path
