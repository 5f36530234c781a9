"""Reconciliation by its name: the decision that follows from a whole reading of the account.

A reading is a message like any other, so `reconcile` is `decide` of one: a recording of an engine
holds its reconciliations, and replays them. The judgement stands in `reading` and `adopt`.
"""

from engine.account.decide import Decision, decide
from engine.account.messages import AccountRead
from engine.account.settings import UserSettings
from engine.account.state import AccountState


def reconcile(state: AccountState, read: AccountRead, params: UserSettings) -> Decision:
    """Compare a reading with the ledger; return repairs, adoptions and what a person must hear."""
    return decide(state, read, params)
