"""I16: a user's recording told to a fresh brain again."""

from typing import Any

import msgspec

from app.proofs.drill.judged import now
from app.proofs.replay import SEQ_PER_VERSION, began_under
from engine.account import messages as m

World = Any  # it stands above this file


_MOST = 1_000_000
_read = msgspec.json.Decoder(m.AnyMessage).decode


def replayed(world: World, user: int) -> str:
    """Return where the replay of a recording parts from it; "" where it does not."""
    user_id = world.users[user]
    brain = world.brain
    rows = now(world.store.trace(user_id, 0, _MOST))
    versions = list(enumerate(world.all_settings[user_id], 1))
    burst = [row for row in rows if row.seq // SEQ_PER_VERSION == rows[0].seq // SEQ_PER_VERSION]
    # Settings may have changed before any engine of this user first ran.
    first, params = began_under(user_id, versions, burst, brain)
    state: Any = brain.fresh(user_id, first)
    for row in rows:
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
