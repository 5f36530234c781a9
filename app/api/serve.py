"""``python -m app.api.serve``: the market layer, the API and the pages on ``$PORT``.

The API answers at once; ``/ready`` says 503 until the market layer has caught up with its venue.
SIGTERM and SIGINT end it cleanly at any moment, its own imports included: as the first process of a
container a signal without a handler would be ignored.
"""

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live.settings import Settings


def serve(settings: "Settings") -> None:
    """Serve until interrupted, or until the market layer dies; then stop it cleanly.

    Parameters
    ----------
    settings : live.settings.Settings
        Names host, port, venue, profile.
    """
    from app.api.process import run

    asyncio.run(run(settings))


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
