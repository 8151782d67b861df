"""Words of the stop list and of what clients agreed to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from mailservice.models import ClientSource, LeavingReason, SuppressionReason, Turn

REASONS: dict[SuppressionReason, Any] = {
    SuppressionReason.UNSUBSCRIBED: _l("unsubscribed"),
    SuppressionReason.HARD_BOUNCE: _l("there is no such address"),
    SuppressionReason.COMPLAINT: _l("complained"),
    SuppressionReason.BY_HAND: _l("added by hand"),
    SuppressionReason.IMPORTED: _l("imported"),
}
LEAVING: dict[LeavingReason, Any] = {
    LeavingReason.TOO_OFTEN: _l("The letters come too often"),
    LeavingReason.NOT_RELEVANT: _l("They are not interesting to me"),
    LeavingReason.NEVER_ASKED: _l("I never asked for them"),
    LeavingReason.OTHER: _l("Something else"),
}
ORDERS: dict[str, Any] = {
    "newest": _l("newest first"),
    "oldest": _l("oldest first"),
    "address": _l("by address"),
}
TURNS: dict[Turn, Any] = {
    Turn.CONFIRMED: _l("Signed up by the form and confirmed it by letter"),
    Turn.RETURNED: _l("Came back: signed up by the form and confirmed it by letter"),
    Turn.ASKED_BACK: _l("Asked to be let back: signed up by the form and confirmed it by letter"),
    Turn.UNSUBSCRIBED: _l("Unsubscribed"),
    Turn.SAID_WHY: _l("Said why"),
    Turn.TOOK_BACK: _l("Took the unsubscribing back"),
    Turn.STOPPED: _l("Put on the stop list by hand"),
    Turn.LIFTED: _l("Taken off the stop list by hand"),
}
TURN_COLOURS = {
    Turn.CONFIRMED: "sent",
    Turn.RETURNED: "sent",
    Turn.ASKED_BACK: "waiting",
    Turn.TOOK_BACK: "sent",
    Turn.LIFTED: "sent",
    Turn.UNSUBSCRIBED: "failed",
    Turn.STOPPED: "failed",
}


def why_left(leaving: str | None, said: str | None) -> str:
    """What somebody chose from the list, and his own words; empty where he gave neither."""
    reason = str(LEAVING[LeavingReason(leaving)]) if leaving in set(LeavingReason) else ""
    if not said:
        return reason
    return _("%(reason)s: “%(words)s”", reason=reason, words=said) if reason else _("“%(words)s”", words=said)


def moment(text: str) -> datetime:
    """A moment as a consent's detail keeps it."""
    return datetime.fromisoformat(text)


def source(kind: ClientSource, detail: str) -> str:
    """How a client came, and from which file or form."""
    match kind:
        case ClientSource.BY_HAND:
            return _("added by hand")
        case ClientSource.IMPORT:
            return _("imported from “%(name)s”", name=detail) if detail else _("imported")
        case ClientSource.FORM:
            return _("signed up by the form “%(name)s”", name=detail) if detail else _("signed up by the form")
        case _:
            return _("not recorded")
