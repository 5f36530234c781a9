"""``python -m app.api.serve``: market layer, engines, API and pages on ``$PORT``.

``/health`` answers 200 as soon as the process lives, in standby too; ``/ready`` says 503 until the
market layer has caught up with its venue and every engine of this process makes progress.
SIGTERM and SIGINT end it cleanly at any moment, its own imports included: as the first process of a
container a signal without a handler would be ignored.
"""

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live.settings import Settings


def serve(settings: "Settings", role: str = "all") -> None:
    """Serve until interrupted, or until the market layer dies; then stop it cleanly.

    Parameters
    ----------
    settings : live.settings.Settings
        Names host, port, venue, profile.
    role : str
        ``all`` trades and shows, ``market`` follows and shows.
    """
    from app.api.process import run

    asyncio.run(run(settings, role))


def _leave(_number: int, _frame: object) -> None:
    sys.exit(0)


def main() -> None:
    """Read the settings and serve."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # until the loop takes the signals over
    from live.settings import load_settings

    serve(load_settings().settings)


if __name__ == "__main__":
    main()
