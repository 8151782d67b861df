"""What sets a mailing going by its owner's hand: starting a draft, sending now; and half a minute to undo it.

The half minute stands in the database (`not_before`): until it is over no planner begins an attempt, so undoing
always finds that nothing has been sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_babel import gettext as _
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.errors import Invalid, Refused
from mailservice.models import Attempt, Mailing, MailingStatus, User
from mailservice.services import audiences, forecast, schedule

UNDO = timedelta(seconds=30)


def start(mailing: Mailing, now: datetime) -> Mailing:
    """A draft is armed for its first firing. `mailing` is locked."""
    if refusal := why_not_start(mailing, now):
        raise Refused(refusal)
    mailing.is_draft, mailing.paused_at = False, None
    schedule.arm(mailing, now)
    _hold(mailing, now, was_draft=True)
    return mailing


def why_not_start(mailing: Mailing, now: datetime) -> str:
    """Why this draft cannot be started, in words; empty when it can."""
    if not mailing.is_draft:
        return _("This mailing has been started already.")
    if mailing.disabled_at:
        return _("A manager has disabled this mailing.")
    try:
        forecast.check(schedule.of(mailing), now)
    except Invalid as error:
        return error.message
    if audiences.is_empty(mailing):
        return _("Nobody would get this mailing: choose at least one client.")
    return ""


def send_now(mailing: Mailing, owner: User, now: datetime) -> Mailing:
    """One firing outside the schedule, or the only one of a `once` mailing earlier. `mailing` is locked."""
    if refusal := why_not_now(mailing, owner, now):
        raise Refused(refusal)
    schedule.fire_now(mailing, now)
    _hold(mailing, now, was_draft=False)
    return mailing


def why_not_now(mailing: Mailing, owner: User, now: datetime) -> str:
    """Why this mailing cannot be sent now, in words; empty when it can."""
    if mailing.is_draft:
        return _("This mailing is a draft. Start it first.")
    if mailing.disabled_at:
        return _("A manager has disabled this mailing.")
    if not owner.is_confirmed:
        return _("Your address is not confirmed yet. Open the link in the letter that we sent you.")
    if mailing.paused_at:
        return _("This mailing is paused. Resume it first.")
    if schedule.has_open_attempt(mailing):
        return _("This mailing is being sent already. Wait until it is through, or stop it.")
    if can_be_undone(mailing, now) or (mailing.next_at and mailing.next_at <= now):
        return _("This mailing is about to begin by itself.")
    end = schedule.of(mailing).end_at
    if end and end <= now + UNDO:
        return _("The end of this mailing has passed. Move it first.")
    if audiences.is_empty(mailing):
        return _("Nobody would get this mailing: choose at least one client.")
    return ""


def stamp(mailing: Mailing, number: int) -> str:
    """What would go now, to `number` clients: another one after an attempt or a change of the mailing or its message.

    A page that asks “send it?” carries it back, so that what is sent is what was shown, and is sent once.
    """
    latest = db.session.scalar(select(func.max(Attempt.id)).where(Attempt.mailing_id == mailing.id)) or 0
    changed = max(mailing.updated_at, mailing.message.updated_at)
    return f"{latest}-{number}-{mailing.message_id}-{changed.timestamp():.6f}"


def can_be_undone(mailing: Mailing, now: datetime) -> bool:
    return mailing.not_before is not None and now < mailing.not_before


def undo(mailing: Mailing, now: datetime) -> Mailing:
    """As it was before the start, with nothing sent; Refused once the half minute is over. `mailing` is locked."""
    if mailing.not_before is None or not can_be_undone(mailing, now):
        raise Refused(_("It is too late to undo this: the half minute is over."))
    if mailing.was_draft:
        schedule.disarm(mailing)
    else:
        schedule.aim_again(mailing, mailing.not_before - UNDO)
    mailing.not_before = None
    return mailing


def hold_if_due(mailing: Mailing, now: datetime) -> None:
    """After a change of the schedule: what would begin at once can be undone, too; what never began is a draft then."""
    is_due = mailing.next_at is not None and mailing.next_at <= now
    if is_due and can_be_undone(mailing, now):
        _hold(mailing, now, was_draft=mailing.was_draft)
    elif is_due:
        _hold(
            mailing, now, was_draft=mailing.status is MailingStatus.CREATED and not schedule.has_open_attempt(mailing)
        )
    elif not mailing.was_draft:
        mailing.not_before = None  # a firing outside the schedule that has not begun is given up


def _hold(mailing: Mailing, now: datetime, *, was_draft: bool) -> None:
    mailing.not_before, mailing.was_draft = now + UNDO, was_draft
