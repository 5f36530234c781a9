"""The operator's log: one JSON object a line on stderr, and no secret in it."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from live.accounts.ports import Log
from live.settings import Settings

# Names under which a secret might be handed over by mistake; what they hold is never written.
SECRET_NAMES = ("secret", "password", "token", "api_key", "apikey", "signature", "authorization")
HIDDEN = "(not shown)"


def scrub(_log: Any, _method: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what stands under a secret's name, at any depth."""
    return {name: _clean(name, value) for name, value in facts.items()}


def _clean(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in SECRET_NAMES):
        return HIDDEN
    if isinstance(value, dict):
        return {key: _clean(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", inner) for inner in value]
    return value


def make_log(settings: Settings) -> Log:
    """Return the log of this process."""
    log: Log = structlog.wrap_logger(
        structlog.WriteLoggerFactory(file=sys.stderr)(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            scrub,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        context_class=dict,
    ).bind(mode=settings.venue)
    return log
