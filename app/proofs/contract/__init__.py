"""The venue contract: numbered cases that any venue port must pass, and the faces they run on."""

from app.proofs.contract import cases_account, cases_orders, cases_stops, cases_wire
from app.proofs.contract.case import CASES, Case, Need

__all__ = ["CASES", "Case", "Need", "cases_account", "cases_orders", "cases_stops", "cases_wire"]
