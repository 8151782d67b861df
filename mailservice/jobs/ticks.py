"""The tick: the same question to the database every few seconds. Lost, doubled or late, it does no harm."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import current_app

from config import Settings
from mailservice import clock
from mailservice.database import db, transaction
from mailservice.jobs.house import house
from mailservice.models import AttemptStatus
from mailservice.sending import recovery, settling
from mailservice.services import planning

log = logging.getLogger(__name__)
PREPARE_SECONDS = 10.0


def tick(mailing_id: int | None = None) -> None:
    """Frees what dead senders held, closes what is through, plans what is due, prepares audiences.

    With `mailing_id`, only this mailing is planned.
    """
    settings: Settings = current_app.config["SETTINGS"]
    recovery.recover(settings.journal_path, clock.now(), lease=house().lease)
    for attempt_id in settling.open_attempts(AttemptStatus.SENDING):
        _guarded(settling.settle, attempt_id)  # first: a stale attempt must not keep the next one from its turn
    plan_due(mailing_id)
    settling.prepare(sender=settings.mail_sender, seconds=PREPARE_SECONDS)


def plan_due(mailing_id: int | None = None) -> None:
    """Each mailing in a transaction of its own, so that a broken one stands in nobody's way."""
    ids = planning.due(clock.now(), mailing_id=mailing_id)
    db.session.rollback()
    for due_id in ids:
        _guarded(_plan, due_id)


def _plan(mailing_id: int) -> None:
    with transaction():
        planning.plan(mailing_id, clock.now())


def _guarded(act: Callable[[int], object], row_id: int) -> None:
    try:
        act(row_id)
    except Exception:  # one broken row must not hold up all others
        log.exception("%s(%d) failed; the next tick tries again", act.__name__, row_id)
