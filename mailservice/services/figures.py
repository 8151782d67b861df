"""The numbers of the home page: over all owners, and of nobody in particular."""

from __future__ import annotations

from sqlalchemy import and_, exists, func, or_, select

from mailservice.database import db
from mailservice.models import Attempt, Client, Mailing, MailingStatus


def mailings() -> dict[str, int]:
    """`total`, and `active`: those under way, that nobody has stopped."""
    is_open = exists().where(Attempt.mailing_id == Mailing.id, Attempt.status.in_(Attempt.OPEN))
    active = and_(
        Mailing.paused_at.is_(None),
        Mailing.disabled_at.is_(None),
        Mailing.status != MailingStatus.FINISHED,
        or_(Mailing.status == MailingStatus.RUNNING, is_open),
    )
    row = db.session.execute(select(func.count(), func.count().filter(active)).select_from(Mailing)).one()
    return {"total": row[0], "active": row[1]}


def unique_clients() -> int:
    """Different addresses, however many owners write to one of them."""
    # Not COUNT(DISTINCT …): PostgreSQL sorts for that, and here it hashes.
    addresses = select(Client.email_normalised).distinct().subquery()
    return db.session.scalar(select(func.count()).select_from(addresses)) or 0
