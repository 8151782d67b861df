"""Reasons and refusals in words for a person who runs no mail server."""

from __future__ import annotations

from typing import Any

from flask_babel import format_percent, lazy_pgettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from mailservice.models import Attempt, Reason
from mailservice.services.causes import Cause
from mailservice.services.counting import Counts
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
    Reason.BY_OWNER: _l("stopped by hand"),
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

# What a person may do about a group of them, or why there is nothing to do.
CAUSES: dict[Cause, tuple[Any, Any]] = {
    Cause.NO_ADDRESS: (
        _l("There is no such address"),
        _l("These addresses go on the stop list, so that nobody writes to them again."),
    ),
    Cause.MAILBOX_FULL: (_l("The mailbox is full"), _l("Send again in some days.")),
    Cause.MAILBOX_OFF: (_l("The mailbox is switched off"), _l("Ask the client for another address.")),
    Cause.UNWANTED: (
        _l("Refused as spam or by the recipient's rules"),
        _l("Make sure that these clients want your letters, and that the text does not read like an advertisement."),
    ),
    Cause.NOT_TRUSTED: (
        _l("The sender's domain is not trusted"),
        _l("Its SPF, DKIM or DMARC records are missing or wrong: show this to whoever runs the mail server."),
    ),
    Cause.SENDER: (
        _l("Our own address was refused"),
        _l("The server takes no letters from this sender: show this to whoever runs the mail server."),
    ),
    Cause.TOO_BIG: (_l("The letter is too big"), _l("Make it smaller: fewer or smaller pictures.")),
    Cause.TEMPORARY: (
        _l("The recipient's server had trouble for too long"),
        _l("It asked to come later until the time was over. Send again when it has recovered."),
    ),
    Cause.NO_WAY: (
        _l("The recipient's server was not found or did not answer"),
        _l("Look for misspelt domains, or send again later."),
    ),
    Cause.REFUSED: (_l("Refused, and no code says why"), _l("The server's own words are beneath.")),
    Cause.BAD_MESSAGE: (_l("No letter can be made of this message"), _l("Look through the message's text.")),
    Cause.LOST: (
        _l("The connection broke before the server's answer"),
        _l("These letters may have arrived. Sent again, some of them come twice."),
    ),
    Cause.SUPPRESSED: (_l("The address is on the stop list"), ""),
    Cause.CLIENT_GONE: (_l("The client was deleted before the letter's turn came"), ""),
    Cause.STOPPED: (_l("The attempt was stopped before their turn came"), ""),
}


def cause(value: Cause) -> str:
    return str(CAUSES[value][0])


def advice(value: Cause) -> str:
    return str(CAUSES[value][1])


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


def rate(counts: Counts) -> str:
    """The share of the accepted among all that were tried, rounded down: 100 % is said of all alone."""
    tried = counts.sent + counts.failed + counts.unknown
    return str(format_percent(counts.sent * 1000 // tried / 1000, "#,##0.#%")) if tried else "–"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
