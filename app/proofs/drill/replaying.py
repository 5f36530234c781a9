"""I16: a user's recording told to a fresh brain again."""

from typing import Any

import msgspec

from app.proofs.drill.judged import now
from engine.account import messages as m
from engine.account.settings import UserSettings

World = Any  # it stands above this file


_MOST = 1_000_000
_read = msgspec.json.Decoder(m.AnyMessage).decode


def replayed(world: World, user: int) -> str:
    """Return where the replay of a recording parts from it; "" where it does not."""
    user_id = world.users[user]
    brain = world.brain
    params: UserSettings = world.first_settings[user_id]
    state: Any = brain.fresh(user_id, 1)
    for row in now(world.store.trace(user_id, 0, _MOST)):
        try:
            message = _read(row.body)
        except msgspec.ValidationError as error:
            return f"row {row.seq} of the recording cannot be read: {error}"
        if isinstance(message, m.SettingsChanged):
            params = message.settings
        state = brain.decide(state, message, params).state
        if row.state_hash and brain.digest(state) != row.state_hash:
            return f"the state after {type(message).__name__} ({row.seq}) is another"
    return ""
