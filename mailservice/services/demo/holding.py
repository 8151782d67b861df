"""Demo mailings stay at home: they are paused as soon as the mail goes to a real server instead of the local inbox."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Event, Mailing
from mailservice.services.audit import Action

LOADED, HELD = Action.DEMO_LOADED.value, Action.DEMO_HELD.value


def loaded(now: datetime, *, may_send: bool) -> Event:
    """Remembers which mailings are the demonstration's, and whether they may fall due by themselves."""
    ids = list(db.session.scalars(select(Mailing.id).order_by(Mailing.id)))
    return Event(at=now, action=LOADED, detail={"mailings": ids, "may_send": may_send})


def hold(now: datetime) -> int:
    """Pauses the demonstration's mailings, once: what a person resumes later stays so. Returns how many."""
    query = select(Event).where(Event.action.in_((LOADED, HELD))).order_by(Event.id.desc()).limit(1)
    last = db.session.scalars(query).one_or_none()
    if last is None or last.action == HELD or not last.detail["may_send"]:
        return 0
    ahead = select(Mailing).where(Mailing.id.in_(last.detail["mailings"]), Mailing.paused_at.is_(None))
    mailings = db.session.scalars(ahead.where(Mailing.next_at.is_not(None)).with_for_update()).all()
    for mailing in mailings:
        mailing.paused_at = now
    db.session.add(Event(at=now, action=HELD, detail={"mailings": [mailing.id for mailing in mailings]}))
    return len(mailings)
