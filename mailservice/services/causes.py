"""Why letters were not delivered, in groups that say something to a person who runs no mail server.

The reply's code decides and its enhanced code (RFC 3463) refines; its text never does.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mailservice.models import Attempt, Reason, State
from mailservice.services import reports
from mailservice.services.reports import Kind, Trouble

KINDS = 500  # of different replies in one attempt


class Cause(enum.StrEnum):
    NO_ADDRESS = "no_address"
    MAILBOX_FULL = "mailbox_full"
    MAILBOX_OFF = "mailbox_off"
    UNWANTED = "unwanted"  # refused as spam, or by the recipient's rules
    NOT_TRUSTED = "not_trusted"  # the sender's domain: SPF, DKIM, DMARC
    SENDER = "sender"  # our own address
    TOO_BIG = "too_big"
    TEMPORARY = "temporary"  # put off until the time was over
    NO_WAY = "no_way"  # the next server was not found or did not answer
    REFUSED = "refused"  # and no code says why
    BAD_MESSAGE = "bad_message"
    LOST = "lost"  # the connection broke before the answer
    SUPPRESSED = "suppressed"
    CLIENT_GONE = "client_gone"
    STOPPED = "stopped"  # the attempt, before their turn


_BY_REASON = {
    Reason.SUPPRESSED: Cause.SUPPRESSED,
    Reason.CLIENT_DELETED: Cause.CLIENT_GONE,
    Reason.BAD_MESSAGE: Cause.BAD_MESSAGE,
}
_BY_DETAIL = {
    "1.7": Cause.SENDER,
    "1.8": Cause.SENDER,
    "2.2": Cause.MAILBOX_FULL,
    "2.3": Cause.TOO_BIG,
    "3.1": Cause.MAILBOX_FULL,
    "3.4": Cause.TOO_BIG,
} | {f"7.{detail}": Cause.NOT_TRUSTED for detail in range(20, 28)}
_BY_CLASS = {
    "1": Cause.NO_ADDRESS,
    "2": Cause.MAILBOX_OFF,
    "4": Cause.NO_WAY,
    "7": Cause.UNWANTED,
}
_BY_CODE = {551: Cause.NO_ADDRESS, 552: Cause.MAILBOX_FULL, 553: Cause.NO_ADDRESS}


@dataclass(frozen=True)
class Group:
    """Deliveries in one state for one cause; `kinds` are the replies, the most frequent first."""

    state: State
    cause: Cause
    kinds: tuple[Trouble, ...]

    @property
    def number(self) -> int:
        return sum(kind.number for kind in self.kinds)


def groups(attempt: Attempt) -> list[Group]:
    """The largest first."""
    found: dict[tuple[State, Cause], list[Trouble]] = {}
    for kind in reports.troubles(attempt, most=KINDS):
        found.setdefault((kind.state, cause_of(kind)), []).append(kind)
    made = [Group(state, cause, tuple(kinds)) for (state, cause), kinds in found.items()]
    return sorted(made, key=lambda group: -group.number)


def kinds_of(attempt: Attempt, state: State, cause: Cause) -> tuple[Kind, ...]:
    """What the replies of a group have in common, for finding its deliveries."""
    kinds = (group.kinds for group in groups(attempt) if (group.state, group.cause) == (state, cause))
    return tuple((kind.reason, kind.code, kind.enhanced) for kind in next(kinds, ()))


def cause_of(kind: Trouble) -> Cause:
    if kind.state is State.UNKNOWN:
        return Cause.LOST
    if kind.reason in _BY_REASON:
        return _BY_REASON[kind.reason]
    if kind.state is not State.FAILED:
        return Cause.STOPPED
    return _of_reply(kind.code, kind.enhanced)


def _of_reply(code: int | None, enhanced: str | None) -> Cause:
    if code is not None and code < 500:
        return Cause.TEMPORARY
    if enhanced:
        _class, _dot, detail = enhanced.partition(".")
        known = _BY_DETAIL.get(detail) or _BY_CLASS.get(detail.partition(".")[0])
        if known:
            return known
    return _BY_CODE.get(code or 0, Cause.REFUSED)
