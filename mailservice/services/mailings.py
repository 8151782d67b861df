"""Mailings: which message goes to which clients, when, how often, until when."""

from __future__ import annotations

import enum
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, case, exists, func, select
from sqlalchemy import delete as delete_rows

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Attempt, Mailing, MailingStatus, Reason, User
from mailservice.services import audiences, filters, forecast, ids, launching, messages, schedule, texts
from mailservice.services.audiences import Audience
from mailservice.services.schedule import Schedule

LONGEST_TITLE = 200
TWINS_WITHIN = timedelta(seconds=10)


class Phase(enum.StrEnum):
    """How a mailing stands, in one word: its status with everything that overrides it."""

    DRAFT = "draft"  # not started yet
    CREATED = "created"
    RUNNING = "running"
    SENDING = "sending"  # an attempt is open
    PAUSED = "paused"
    DISABLED = "disabled"
    FINISHED = "finished"


_open_attempt = exists().where(Attempt.mailing_id == Mailing.id, Attempt.status.in_(Attempt.OPEN))
# The phase of each mailing, as a column.
phase_word: ColumnElement[str] = case(
    (Mailing.disabled_at.is_not(None), Phase.DISABLED.value),
    (Mailing.is_draft, Phase.DRAFT.value),
    (Mailing.status == MailingStatus.FINISHED, Phase.FINISHED.value),
    (Mailing.paused_at.is_not(None), Phase.PAUSED.value),
    (_open_attempt, Phase.SENDING.value),
    (Mailing.status == MailingStatus.RUNNING, Phase.RUNNING.value),
    else_=Phase.CREATED.value,
)


def own(owner: User, mailing_id: int, *, lock: bool = False) -> Mailing:
    """The owner's mailing, or NotFound."""
    query = select(Mailing).where(Mailing.id == mailing_id, Mailing.owner_id == owner.id)
    query = query.with_for_update() if lock else query
    mailing = db.session.scalars(query).one_or_none() if ids.possible(mailing_id) else None
    if mailing is None:
        raise NotFound(_("There is no such mailing."))
    return mailing


def phase_of(mailing: Mailing) -> Phase:
    return Phase(db.session.scalars(select(phase_word).where(Mailing.id == mailing.id)).one())


def open_attempt(mailing: Mailing) -> Attempt | None:
    query = select(Attempt).where(Attempt.mailing_id == mailing.id, Attempt.status.in_(Attempt.OPEN))
    return db.session.scalars(query).one_or_none()


def disabled_by(mailing: Mailing) -> str:
    """The manager who disabled it, by name; empty when nobody did or he is gone."""
    if mailing.disabled_by_id is None:
        return ""
    manager = db.session.get_one(User, mailing.disabled_by_id)
    return manager.full_name or manager.email


def in_phase(phase: Phase) -> ColumnElement[bool]:
    return phase_word == phase.value


def phases(owner: User | None = None) -> dict[Phase, int]:
    """How many mailings the owner (or everybody) has in each phase."""
    query = select(phase_word, func.count()).group_by(phase_word)
    query = query.where(Mailing.owner_id == owner.id) if owner else query
    return {Phase(word): number for word, number in db.session.execute(query)}


def create(
    owner: User,
    *,
    title: str,
    message_id: int,
    plan: Schedule,
    audience: Audience,
    filter_ids: Collection[int] = (),
    draft: bool = False,
) -> Mailing:
    """A mailing armed for its first firing, or a draft; Invalid names the field that is wrong.

    It goes to `audience` and to whom the saved filters `filter_ids` mean at each firing.
    """
    now = clock.now()
    forecast.check(plan, now)
    values = _checked(owner, title, message_id) | _columns(plan)
    if twin := recent_twin(owner, values, now):
        return twin
    mailing = Mailing(owner_id=owner.id, **values)
    if draft:
        schedule.disarm(mailing)
    else:
        schedule.arm(mailing, now)
    db.session.add(mailing)
    db.session.flush()
    audiences.assign(mailing, audience, filter_ids)
    return mailing


def recent_twin(owner: User, values: dict[str, Any], now: datetime) -> Mailing | None:
    """The same mailing, made a moment ago: a form sent twice at once must not mail everybody twice.

    The owner's row is the lock: on PostgreSQL neither of two transactions would see the other's new row.
    """
    db.session.execute(select(User.id).where(User.id == owner.id).with_for_update(key_share=True))
    query = select(Mailing).filter_by(owner_id=owner.id, **values).where(Mailing.created_at > now - TWINS_WITHIN)
    return db.session.scalars(query.order_by(Mailing.id)).first()


def update(
    mailing: Mailing,
    owner: User,
    *,
    title: str,
    message_id: int,
    plan: Schedule,
    audience: Audience | None,
    filter_ids: Collection[int] | None = None,
) -> Mailing:
    """None keeps the clients, or the filters. An open attempt goes on with the text and clients it began with."""
    now = clock.now()
    before = schedule.of(mailing)
    if plan != before or mailing.is_draft:
        forecast.check(plan, now)
    for name, value in (_checked(owner, title, message_id) | _columns(plan)).items():
        setattr(mailing, name, value)
    if plan != before and not mailing.is_draft:
        only_the_end = _columns(plan) | {"end_local": None} == _columns(before) | {"end_local": None}
        rearm = schedule.rearm_after_end_change if only_the_end else schedule.rearm
        rearm(mailing, now)
        launching.hold_if_due(mailing, now)
    db.session.flush()
    audiences.assign(mailing, audience, filter_ids)
    return mailing


def duplicate(mailing: Mailing) -> Mailing:
    """A draft like this mailing: the same message, schedule and clients.

    A recurring one begins with its next firing, since a start that has passed would send the copy at once.
    """
    title = _("%(title)s (copy)", title=mailing.title[: LONGEST_TITLE - 20])
    plan = schedule.from_next(schedule.of(mailing), clock.now())
    made = Mailing(owner_id=mailing.owner_id, title=title, message_id=mailing.message_id, **_columns(plan))
    schedule.disarm(made)
    db.session.add(made)
    db.session.flush()
    audiences.copy(mailing, made)
    return made


def delete(mailing: Mailing) -> None:
    """With all its attempts; Refused while one is open. `mailing` is locked (`own(…, lock=True)`)."""
    if open_attempt(mailing):
        raise Refused(_("This mailing is being sent. Wait until it is through or stop it, then delete it."))
    filters.refuse_if_asked_about(mailing)
    db.session.execute(delete_rows(Mailing).where(Mailing.id == mailing.id))


def pause(mailing: Mailing) -> Mailing:
    """No letter starts after it (within a second). Asked twice, it changes nothing."""
    if mailing.is_draft:
        raise Refused(_("This mailing is a draft: there is nothing to pause."))
    if mailing.status is MailingStatus.FINISHED:
        raise Refused(_("This mailing is finished: there is nothing to pause."))
    mailing.paused_at = mailing.paused_at or clock.now()
    return mailing


def resume(mailing: Mailing) -> Mailing:
    """Firings that passed meanwhile are not made up for."""
    if mailing.paused_at:
        schedule.resume(mailing, clock.now())
        mailing.paused_at = None
    return mailing


def cancel(mailing: Mailing) -> Mailing:
    """The attempt under way ends here: nothing more of it is sent, also not after a pause."""
    attempt = open_attempt(mailing)
    if attempt is None:
        raise Refused(_("Nothing of this mailing is being sent."))
    attempt.reason = attempt.reason or Reason.BY_OWNER
    return mailing


def _columns(plan: Schedule) -> dict[str, object]:
    return {
        "start_local": plan.start_local,
        "end_local": plan.end_local,
        "time_zone": plan.time_zone,
        "periodicity": plan.periodicity,
    }


def _checked(owner: User, title: str, message_id: int) -> dict[str, object]:
    title = texts.required(texts.one_line(title, field="title", longest=LONGEST_TITLE), field="title")
    try:
        message = messages.own(owner, message_id)
    except NotFound:
        raise Invalid(_("This message is no longer there. Choose another one."), field="message_id") from None
    return {"title": title, "message_id": message.id}
