"""Sending again: what failed, or what may be lost, goes into the next round of the same attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, and_, exists, func, select, text, tuple_, update

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Refused
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Batch,
    Client,
    Delivery,
    Mailing,
    MailingStatus,
    Result,
    State,
    Suppression,
    User,
)
from mailservice.sending.batches import PATIENCE
from mailservice.services import audit, mailings, reports, schedule
from mailservice.services.audit import Action

STATES = (State.FAILED, State.UNKNOWN)

# Word for word the condition of a partial index, which a bound value would not match.
_is_not_sent = text("results.state <> 'sent'")


@dataclass(frozen=True)
class Offer:
    """What sending again would do now: letters to `number`, none to the `left_out`, who are on the stop list or gone.

    `seen` names the end of the attempt's last round: who asks twice asks about another one.
    """

    number: int
    left_out: int
    seen: str


def offer(attempt: Attempt, state: State) -> Offer:
    """Refused when nothing of this attempt may be sent again now."""
    _check(attempt, attempt.mailing, clock.now())
    in_state = select(func.count()).where(
        tuple_(Delivery.id, Delivery.round).in_(
            select(Result.delivery_id, Result.round).where(
                Result.attempt_id == attempt.id, Result.state == state, _is_not_sent
            )
        )
    )
    total = db.session.scalar(in_state) or 0
    number = db.session.scalar(in_state.where(_may_be_mailed(attempt))) or 0
    return Offer(number, total - number, _seen(attempt))


def send_again(
    owner: User, attempt_id: int, *, state: State, number: int, seen: str, address: str | None = None
) -> int:
    """Opens the next round for exactly the `number` deliveries that were offered; returns how many.

    Refused when it has been done meanwhile, or when the number is another one by now.
    """
    attempt = _locked(owner, attempt_id)
    _check(attempt, attempt.mailing, now := clock.now())
    if seen != _seen(attempt):
        raise Refused(_("This attempt has been sent again meanwhile. Look at its new numbers first."))
    opened = sum(_open_in(attempt, batch, state) for batch in _batches(attempt, state))
    if not opened:
        raise Refused(_("There is nobody to send to again."))
    if opened != number:
        raise Refused(_("The number of letters has changed meanwhile. Look at the new one and send again."))
    _reopen(attempt, now)
    audit.note(owner, Action.SENT_AGAIN, subject=attempt, address=address, state=state.value, letters=opened)
    return opened


def _locked(owner: User, attempt_id: int) -> Attempt:
    """First the mailing, then the attempt: in the order of whoever plans, pauses or closes it."""
    attempt = reports.own(owner, attempt_id)
    mailings.own(owner, attempt.mailing_id, lock=True)
    db.session.refresh(attempt, with_for_update=True)
    return attempt


def _check(attempt: Attempt, mailing: Mailing, now: datetime) -> None:
    if attempt.is_open or schedule.has_open_attempt(mailing):
        raise Refused(_("This mailing is being sent at this moment. Wait until it is through."))
    if mailing.disabled_at:
        raise Refused(_("A manager has disabled this mailing: nothing of it is sent."))
    if mailing.owner.blocked_at:
        raise Refused(_("The owner of the mailing is blocked: nothing of it is sent."))
    if not mailing.owner.is_confirmed:
        raise Refused(_("Confirm your address first: until then nothing is sent."))
    end = schedule.of(mailing).end_at
    if end and now >= end:
        raise Refused(_("The end of this mailing has passed. Move its end, then send again."))


def _seen(attempt: Attempt) -> str:
    return attempt.finished_at.isoformat() if attempt.finished_at else ""


def _may_be_mailed(attempt: Attempt) -> ColumnElement[bool]:
    suppressed = exists().where(
        Suppression.owner_id == attempt.owner_id, Suppression.email_normalised == Delivery.email_normalised
    )
    return and_(~suppressed, exists().where(Client.id == Delivery.client_id))


def _batches(attempt: Attempt, state: State) -> list[int]:
    """Those that have such deliveries: they are taken one by one, so that a million of them need no memory."""
    count = getattr(Batch, state.value)
    query = select(Batch.number).where(Batch.attempt_id == attempt.id, count > 0).order_by(Batch.number)
    return list(db.session.scalars(query))


def _open_in(attempt: Attempt, number: int, state: State) -> int:
    """Opens the next round for one batch's deliveries in this state that may be mailed; returns how many."""
    in_state = exists().where(
        Result.delivery_id == Delivery.id,
        Result.round == Delivery.round,
        Result.attempt_id == attempt.id,
        Result.state == state,
        text("results.state <> 'deferred'"),
    )
    statement = (
        update(Delivery)
        .where(Delivery.attempt_id == attempt.id, Delivery.batch == number, in_state, _may_be_mailed(attempt))
        .values(round=Delivery.round + 1)
    )
    opened = db.session.execute(statement, execution_options={"synchronize_session": False}).rowcount  # type: ignore[attr-defined]
    if opened:
        count = getattr(Batch, state.value)
        # Whoever held the batch of a closed attempt has nothing more to say about it: the fence sees to that.
        free = {"holder": None, "lease_until": None, "evicted": False, "not_before": None, "fence": Batch.fence + 1}
        db.session.execute(
            update(Batch)
            .where(Batch.attempt_id == attempt.id, Batch.number == number)
            .values({state.value: count - opened, "waiting": Batch.waiting + opened} | free),
            execution_options={"synchronize_session": False},
        )
    return int(opened)


def _reopen(attempt: Attempt, now: datetime) -> None:
    """As it was while it was sent: its counts are its batches' until it is closed again."""
    attempt.status, attempt.reason, attempt.succeeded = AttemptStatus.SENDING, None, None
    attempt.finished_at, attempt.deadline_at = None, now + PATIENCE
    attempt.sent = attempt.failed = attempt.unknown = attempt.skipped = attempt.cancelled = 0
    refused = select(func.sum(Batch.failed)).where(Batch.attempt_id == attempt.id)
    if not db.session.scalar(refused):
        attempt.server_reply = None  # it was about those who are tried anew
    attempt.mailing.status = MailingStatus.RUNNING
    db.session.flush()
