"""What else the demonstration has: blog posts, and who did what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Event, Mailing, Post, User
from mailservice.services.audit import Action
from mailservice.services.demo import texts

PUBLISHED = (-61, -47, -33, -19, -8, -3, None, -26, 5)  # days from now, in the order of the posts' names; None: a draft
VIEWS = (412, 305, 188, 97, 41, 12, 0, 133, 0)


def posts(now: datetime, authors: Sequence[User]) -> Iterator[Post]:
    for number, (text, day, views) in enumerate(zip(texts.posts(), PUBLISHED, VIEWS, strict=True)):
        at = None if day is None else now + timedelta(days=day)
        written = min(at or now, now) - timedelta(days=2)
        yield Post(
            author_id=authors[number % len(authors)].id,
            title=text.title,
            slug=text.name.partition("-")[2],
            language="en" if text.title.isascii() else "ru",
            body=text.body,
            views=views,
            published_at=at,
            created_at=written,
            updated_at=written,
        )


def events(admin: User, manager: User, anna: User) -> Iterator[Event]:
    """`address` is where a browser was; the command line has none."""
    for user in (admin, manager, anna):
        detail = {"role": user.role.value}
        yield _event(Action.USER_CREATED, user, at=user.created_at, detail=detail, address=None)
    change = {"before": "user", "after": "manager"}
    yield _event(Action.ROLE_CHANGED, manager, at=manager.created_at + timedelta(days=1), actor=admin, detail=change)
    for mailing in db.session.scalars(select(Mailing).where(Mailing.disabled_at.is_not(None)).order_by(Mailing.id)):
        at = mailing.disabled_at or mailing.created_at
        yield _event(Action.SIGNED_IN, manager, at=at - timedelta(minutes=4), actor=manager)
        why = {"title": mailing.title, "reason": mailing.disabled_reason}
        yield _event(Action.MAILING_DISABLED, mailing, at=at, actor=manager, detail=why)


def _event(
    action: Action,
    subject: User | Mailing,
    *,
    at: datetime,
    actor: User | None = None,
    detail: dict[str, Any] | None = None,
    address: str | None = "192.0.2.24",
) -> Event:
    return Event(
        at=at,
        actor_id=actor.id if actor else None,
        action=action.value,
        subject_type=type(subject).__name__.lower(),
        subject_id=subject.id,
        detail=detail or {},
        address=address,
    )
