"""The venue's word on a request that acts, as an outcome of the port.

`codes` is the table of what each word proves. What it does not prove is Unknown.
"""

from engine.venue.codes import Action, Code, Proof, http_verdict, verdict
from live.venues.bybit.gate import Answer, Held, Lost, Said
from live.venues.trading import Accepted, PlaceOutcome, Refused, Unknown


def read_code(said: Said, op: str) -> Code:
    """Return what the venue's word means for an operation."""
    return verdict(said.code, said.message, op=op)


def refused(said: Said, code: Code) -> Refused:
    """Return a certain no, with what the table says to do."""
    wait_s = said.retry_after_s
    if wait_s is None and code.same_id:
        wait_s = 1.0
    doubt_ms = said.sent_ms if code.doubtful else None
    return Refused(
        said.code, said.message or code.meaning, code.action.value, wait_s, doubtful_ms=doubt_ms
    )


def outcome(answer: Answer, op: str, link: str, now_ms: int) -> PlaceOutcome:
    """Return the outcome of an answer that needs no second look.

    Parameters
    ----------
    op : str
        ``create``, ``amend``, ``cancel`` or another POST.
    link : str
        Our id of the order, for a later lookup.
    now_ms : int
        Venue clock, where the answer does not say when it was sent.
    """
    if isinstance(answer, Held):
        known = http_verdict(answer.code) if answer.code else None
        action = known.action if known is not None else Action.WAIT
        doubt_ms = now_ms if known is not None and known.doubtful else None
        return Refused(
            answer.code, answer.reason, action.value, answer.retry_after_s, doubtful_ms=doubt_ms
        )
    if isinstance(answer, Lost):
        return Unknown(link, answer.reason, answer.sent_ms)
    code = read_code(answer, op)
    if code.proof is Proof.NOT_TAKEN:
        return refused(answer, code)
    if code.proof is Proof.UNKNOWN:
        return Unknown(link, f"{answer.code}: {answer.message}", answer.sent_ms or now_ms)
    order_id = answer.result.get("orderId", "")
    said_link = answer.result.get("orderLinkId", "")
    if link and said_link and said_link != link:
        return Unknown(link, "the answer speaks of another order", answer.sent_ms or now_ms)
    return Accepted(
        str(order_id), link or str(said_link), already=code.action is not Action.PROCEED
    )
