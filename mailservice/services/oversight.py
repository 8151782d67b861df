"""What stops a mailing from outside: a manager disables it, or its owner is blocked. Nothing of it is made up for."""

from __future__ import annotations

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, select, update

from mailservice import clock
from mailservice.database import db
from mailservice.errors import NotFound, Refused
from mailservice.models import Attempt, Mailing, Reason, User
from mailservice.services import access, audit, ids, schedule, texts
from mailservice.services.audit import Action

LONGEST_REASON = 500


def mailing(mailing_id: int) -> Mailing:
    """Anybody's mailing, locked, or NotFound."""
    query = select(Mailing).where(Mailing.id == mailing_id).with_for_update()
    found = db.session.scalars(query).one_or_none() if ids.possible(mailing_id) else None
    if found is None:
        raise NotFound(_("There is no such mailing."))
    return found


def disable(mailing: Mailing, *, reason: str, by: User, address: str | None = None) -> None:
    """No letter of it starts after this (within a second), and the attempt under way ends."""
    reason = texts.required(checked_reason(reason), field="reason")
    _check(by)
    if mailing.disabled_at:
        raise Refused(_("This mailing is disabled already."))
    mailing.disabled_at, mailing.disabled_by_id, mailing.disabled_reason = clock.now(), by.id, reason
    end_attempts(Attempt.mailing_id == mailing.id, reason=Reason.DISABLED)
    audit.note(by, Action.MAILING_DISABLED, subject=mailing, address=address, title=mailing.title, reason=reason)


def enable(mailing: Mailing, *, reason: str = "", by: User, address: str | None = None) -> None:
    """It goes on with its next time; those that passed meanwhile are recorded as skipped."""
    reason = checked_reason(reason)
    _check(by)
    if mailing.disabled_at is None:
        raise Refused(_("This mailing is not disabled."))
    skip_missed(Mailing.id == mailing.id, reason=Reason.DISABLED)
    mailing.disabled_at = mailing.disabled_by_id = mailing.disabled_reason = None
    audit.note(by, Action.MAILING_ENABLED, subject=mailing, address=address, title=mailing.title, reason=reason)


def checked_reason(reason: str) -> str:
    """Invalid beside “reason” when it cannot stand in a letter or is too long."""
    return texts.one_line(reason, field="reason", longest=LONGEST_REASON)


def end_attempts(which: ColumnElement[bool], *, reason: Reason) -> None:
    """Open attempts go no further, also not when what stopped them is lifted a moment later."""
    query = update(Attempt).where(which, Attempt.status.in_(Attempt.OPEN), Attempt.reason.is_(None))
    db.session.execute(query.values(reason=reason))


def skip_missed(which: ColumnElement[bool], *, reason: Reason) -> None:
    """Records what fell due while these mailings were stopped; each goes on with its next time."""
    now = clock.now()
    query = select(Mailing).where(which, Mailing.next_at <= now).order_by(Mailing.id).with_for_update()
    for missed in db.session.scalars(query):
        schedule.skip_missed(missed, reason, now)


def _check(by: User) -> None:
    if not access.may_disable(by):
        raise Refused(_("Only managers do this."))
