"""Write the golden files anew: ``make golden``. Look at the difference before committing it."""

import json
import os
from pathlib import Path

from tests.golden.made import HERE, PROFILES, REAL, key, made_up_events, real_summary


def main() -> None:
    """Write what the detector says today."""
    for profile in PROFILES:
        made_up_events(profile).write_csv(HERE / f"events-{profile}.csv", null_value="")
    beside = Path(__file__).resolve().parents[3] / "shared"
    lake = Path(os.environ.get("ZION_SHARED", beside)) / "data" / "lake"
    if not lake.is_dir():
        print("no real market history: its digests stay as they are (set ZION_SHARED)")  # noqa: T201
        return
    wanted = {key(*series, p): real_summary(lake, *series, p) for series in REAL for p in PROFILES}
    text = json.dumps(wanted, indent=1, sort_keys=True) + "\n"
    (HERE / "real.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
