"""Reasons and refusals in words for a person who runs no mail server."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext

from mailservice.models import Attempt, Reason
from mailservice.services.reports import Ending, Trouble

REASONS: dict[Reason, Any] = {
    Reason.MISSED: _l("its time passed while the service was away or the mailing was paused"),
    Reason.OVERLAP: _l("the attempt before was still running"),
    Reason.PAUSED: _l("the mailing was paused"),
    Reason.EMPTY: _l("the mailing had no clients"),
    Reason.ENDED: _l("the end of the mailing was reached"),
    Reason.STALE: _l("nothing could be sent for a whole day"),
    Reason.DISABLED: _l("a manager disabled the mailing"),
    Reason.BLOCKED: _l("the owner of the mailing is blocked"),
    Reason.UNCONFIRMED: _l("the owner's address was not confirmed"),
    Reason.BY_OWNER: _l("stopped by you"),
    Reason.REFUSED: _l("the mail server refused one letter after another"),
    Reason.SENDER_REFUSED: _l("the mail server does not take letters from this sender"),
    Reason.TOO_BIG: _l("the letter is too big for the mail server"),
    Reason.BAD_MESSAGE: _l("no letter can be made of this message"),
    Reason.SUPPRESSED: _l("the address is on the stop list"),
    Reason.CLIENT_DELETED: _l("the client was deleted before the letter's turn came"),
}

ENDINGS: dict[Ending, Any] = {
    Ending.OPEN: _l("in progress"),
    Ending.SUCCEEDED: _l("all accepted"),
    Ending.TROUBLED: _l("with losses"),
    Ending.STOPPED: _l("stopped"),
    Ending.SKIPPED: lazy_pgettext("attempt", "skipped"),
}
ENDING_COLOURS = {
    Ending.OPEN: "sending",
    Ending.SUCCEEDED: "sent",
    Ending.TROUBLED: "waiting",
    Ending.STOPPED: "failed",
    Ending.SKIPPED: "skipped",
}

# RFC 3463: what the detail of an enhanced code says; the most telling ones.
_ENHANCED: dict[str, Any] = {
    "1.1": _l("There is no such address"),
    "1.2": _l("There is no such domain"),
    "1.3": _l("The address is not well formed"),
    "1.6": _l("The mailbox has moved"),
    "1.10": _l("This domain takes no mail"),
    "2.1": _l("The mailbox is switched off"),
    "2.2": _l("The mailbox is full"),
    "2.3": _l("The letter is too big for this mailbox"),
    "3.4": _l("The letter is too big for the mail server"),
    "4.4": _l("The mail server cannot find the way to this domain"),
    "4.7": _l("The letter could not be delivered in time"),
    "7.1": _l("The recipient's server does not want this letter"),
    "7.26": _l("The recipient's server does not trust the sender's domain (SPF, DKIM, DMARC)"),
}
_CLASSES: dict[str, Any] = {
    "1": _l("Something is wrong with the address"),
    "2": _l("Something is wrong with the mailbox"),
    "3": _l("The recipient's mail system does not take the letter"),
    "4": _l("The mail server could not pass the letter on"),
    "5": _l("The two mail servers did not understand each other"),
    "6": _l("The contents of the letter were not understood"),
    "7": _l("The recipient's server does not want this letter"),
}
_CODES: dict[int, Any] = {
    550: _l("The mail server refused the address or the letter"),
    551: _l("The mailbox is elsewhere"),
    552: _l("The mailbox is full or the letter is too big"),
    553: _l("The mail server does not accept this address"),
    554: _l("The mail server refused the letter"),
}
_STATES: dict[str, Any] = {
    "failed": _l("The mail server refused the letter"),
    "unknown": _l("The connection broke before the server's answer: the letter may have arrived"),
    "skipped": _l("Not sent"),
    "cancelled": _l("The attempt was stopped before the letter's turn came"),
}


def reason(value: Reason | None) -> str:
    """Why an attempt ended or a delivery was not made, as part of a sentence; empty without a reason."""
    return str(REASONS[value]) if value else ""


def is_the_servers(value: Reason | None) -> bool:
    """Whether the server's reply says why: not where it only happens to be the last one heard."""
    return value in (None, Reason.REFUSED, Reason.SENDER_REFUSED, Reason.TOO_BIG, Reason.STALE)


def refusal(code: int | None, enhanced: str | None) -> str:
    """What the server's codes mean; empty when they say nothing (RFC 5321, RFC 3463)."""
    if enhanced:
        _class, _dot, detail = enhanced.partition(".")
        known = _ENHANCED.get(detail) or _CLASSES.get(detail.partition(".")[0])
        if known:
            return str(known)
    if code is None:
        return ""
    return str(_CODES.get(code) or (_STATES["failed"] if code >= 500 else _l("The mail server asks to come later")))


def trouble(kind: Trouble) -> str:
    """Why these deliveries were not made, as a sentence."""
    if kind.reason:
        return _capital(reason(kind.reason))
    if kind.state.value == "unknown":
        return str(_STATES["unknown"])
    return refusal(kind.code, kind.enhanced) or str(_STATES[kind.state.value])


def ending(attempt: Attempt, which: Ending) -> str:
    """How an attempt stands: “in progress”, “stopped: …”."""
    word = str(ENDINGS[which])
    if attempt.reason is None:
        return word
    return _("%(state)s: %(reason)s", state=word, reason=reason(attempt.reason))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
