"""Fills an empty database in a few bulk inserts. The caller's is the transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, NamedTuple

from sqlalchemy import insert, select

from mailservice.database import Model, db
from mailservice.models import (
    Attempt,
    Batch,
    Client,
    Delivery,
    Mailing,
    MailingStatus,
    Message,
    Result,
    Role,
    Suppression,
    User,
    mailing_clients,
)
from mailservice.services.demo import consenting, extras, history, holding, people, plans, texts
from mailservice.services.demo.history import Habits, Historian, Past, Stop
from mailservice.services.demo.people import Person
from mailservice.services.demo.plans import Plan
from mailservice.services.demo.texts import Text
from mailservice.services.schedule import Schedule

OPENED = timedelta(days=150)  # ago: when the users came
CLIENTS_CAME = timedelta(days=140)


@dataclass(frozen=True)
class Scene:
    """`may_send`: the mail goes to the local inbox, so mailings may fall due by themselves."""

    now: datetime
    password_hash: str
    sender: str
    may_send: bool


class Owner(NamedTuple):
    user: User
    folder: str
    group: tuple[int, int]  # Russian and English clients
    plans: Sequence[Plan]
    habits: Habits


class Made(NamedTuple):
    """A mailing in the database, with what its past is made of."""

    mailing_id: int
    plan: Plan
    schedule: Schedule
    firings: list[datetime]
    message: Text
    audience: list[tuple[int, dict[str, Any]]]


def is_empty() -> bool:
    return db.session.scalar(select(User.id).limit(1)) is None


def fill(scene: Scene) -> None:
    """Everything, from the users to the events."""
    admin, manager, anna, john = users = _users(scene)
    db.session.add_all(users)
    db.session.flush()
    owners = (
        Owner(anna, "anna", (140, 12), plans.ANNA, ANNAS),
        Owner(john, "john", (14, 76), plans.JOHN, JOHNS),
    )
    groups = people.people(*(owner.group for owner in owners))
    for owner, persons in zip(owners, groups, strict=True):
        _fill_owner(scene, owner, persons, manager)
    db.session.add_all(extras.posts(scene.now, (admin, manager)))
    db.session.add_all(extras.events(admin, manager, anna))
    db.session.add(holding.loaded(scene.now, may_send=scene.may_send))


ANNAS = Habits(
    gone=frozenset({7, 23, 41}),
    full=frozenset({15, 90}),
    strict=frozenset({33}),
    greylisting=frozenset({3, 12, 28, 45, 52, 66}),
    flaky=frozenset({19}),
    leaving={30: 3, 50: 1},
)
JOHNS = Habits(
    gone=frozenset({5, 31}),
    full=frozenset({11}),
    strict=frozenset({17}),
    greylisting=frozenset({2, 9, 44}),
    flaky=frozenset({22}),
    leaving={26: 2, 35: 1},
)


def _users(scene: Scene) -> list[User]:
    rows = (
        ("admin@example.org", "Ольга Андреева", Role.ADMIN, "ru", "Europe/Moscow"),
        ("manager@example.org", "Михаил Лапин", Role.MANAGER, "ru", "Europe/Moscow"),
        ("anna@example.org", "Анна Соколова", Role.USER, "ru", "Europe/Moscow"),
        ("john@example.org", "John Harper", Role.USER, "en", "Europe/London"),
    )
    came = scene.now - OPENED
    return [
        User(
            email=email,
            email_normalised=email,
            full_name=name,
            role=role,
            language=language,
            time_zone=zone,
            password_hash=scene.password_hash,
            created_at=came + timedelta(hours=number),
            confirmed_at=came + timedelta(hours=number, minutes=4),
        )
        for number, (email, name, role, language, zone) in enumerate(rows)
    ]


def _fill_owner(scene: Scene, owner: Owner, persons: list[Person], manager: User) -> None:
    clients = _add_clients(scene.now, owner.user, persons)
    messages = _add_messages(scene.now, owner)
    made = [_add_mailing(scene, owner.user, plan, messages, clients) for plan in owner.plans]
    historian = Historian(
        owner.user.id,
        sender=scene.sender,
        habits=owner.habits,
        random=Random(owner.folder),  # nosec B311
    )
    pasts = list(_pasts(historian, made))
    _add_pasts(pasts)
    db.session.add_all(consenting.leavings(owner.user, historian.suppressions.values()))
    _insert(Suppression, list(historian.suppressions.values()))
    db.session.add_all(history.imported(owner.user, ["info@example.net", "office@example.com"], scene.now - OPENED))
    db.session.add_all(consenting.proofs(owner.user, clients))
    db.session.add(consenting.form(owner.user))
    _disable(made, pasts, manager)


def _add_clients(now: datetime, owner: User, persons: list[Person]) -> list[dict[str, Any]]:
    rows = []
    for number, person in enumerate(persons):
        came = now - CLIENTS_CAME + timedelta(hours=number, minutes=number * 7 % 60)
        values = {"owner_id": owner.id, "email_normalised": person.email, "created_at": came, "updated_at": came}
        rows.append(person._asdict() | values | consenting.source(owner, left=len(persons) - number - 1))
    return [row | {"id": row_id} for row, row_id in zip(rows, _insert(Client, rows), strict=True)]


def _add_messages(now: datetime, owner: Owner) -> dict[str, tuple[int, Text]]:
    """By the name of the text's file: the message's id, and the text."""
    found = texts.messages(owner.folder)
    rows = []
    for number, text in enumerate(found):
        at = now - CLIENTS_CAME + timedelta(days=number)
        rows.append(
            {"owner_id": owner.user.id, "subject": text.title, "body": text.body, "created_at": at, "updated_at": at}
        )
    ids = _insert(Message, rows)
    return {text.name: (row_id, text) for row_id, text in zip(ids, found, strict=True)}


def _add_mailing(
    scene: Scene, owner: User, plan: Plan, messages: dict[str, tuple[int, Text]], clients: list[dict[str, Any]]
) -> Made:
    now, (message_id, message) = scene.now, messages[plan.message]
    found = plan.schedule(now, owner.time_zone)
    paused_at = None if plan.paused is None else now - timedelta(days=plan.paused)
    firings = [] if plan.due_now else _firings(found, until=paused_at or now)
    next_at = found.at(len(firings))
    if plan.due_now:
        next_at = now
    first = found.at(0) or now
    mailing = Mailing(
        owner_id=owner.id,
        title=plan.title,
        message_id=message_id,
        start_local=found.start_local,
        end_local=found.end_local,
        time_zone=found.time_zone,
        periodicity=found.periodicity,
        status=_status(firings, next_at),
        next_occurrence=None if next_at is None else len(firings),
        next_at=next_at,
        paused_at=paused_at if scene.may_send or paused_at or next_at is None else now,
        created_at=min(first, now) - timedelta(days=1),
        updated_at=min(first, now) - timedelta(days=1),
    )
    db.session.add(mailing)
    db.session.flush()
    audience = [(place, clients[place]) for place in range(*plan.clients)]
    rows = [{"mailing_id": mailing.id, "client_id": c["id"], "owner_id": owner.id} for _, c in audience]
    db.session.execute(insert(mailing_clients), rows)
    return Made(mailing.id, plan, found, firings, message, audience)


def _firings(plan: Schedule, *, until: datetime) -> list[datetime]:
    found: list[datetime] = []
    for n in count():
        at = plan.at(n)
        if at is None or at > until:
            return found
        found.append(at)
    return found


def _status(firings: list[datetime], next_at: datetime | None) -> MailingStatus:
    if next_at is None:
        return MailingStatus.FINISHED
    return MailingStatus.RUNNING if firings else MailingStatus.CREATED


def _pasts(historian: Historian, made: list[Made]) -> Iterator[Past]:
    """All attempts of an owner in the order of their moments, since one may change what the next one does."""
    moments = sorted((at, made.index(m), n) for m in made for n, at in enumerate(m.firings))
    for at, index, n in moments:
        m = made[index]
        if reason := m.plan.skipped.get(n):
            yield historian.skipped(m.mailing_id, n, at, reason)
            continue
        is_last = n == len(m.firings) - 1
        stop = Stop(m.plan.stopped, len(m.audience) // 2) if m.plan.stopped and is_last else None
        yield historian.sent(m.mailing_id, n, at, message=m.message, audience=m.audience, stop=stop)


def _add_pasts(pasts: list[Past]) -> None:
    attempt_ids = _insert(Attempt, [past.attempt for past in pasts])
    sent = [(attempt_id, past) for attempt_id, past in zip(attempt_ids, pasts, strict=True) if past.deliveries]
    db.session.execute(insert(Batch), [history.batch(past) | {"attempt_id": i} for i, past in sent])
    delivery_ids = iter(_insert(Delivery, [d | {"attempt_id": i} for i, past in sent for d in past.deliveries]))
    results = [
        result | {"attempt_id": attempt_id, "delivery_id": delivery_id, "round": 1}
        for attempt_id, past in sent
        for tries, delivery_id in zip(past.results, delivery_ids, strict=False)
        for result in tries
    ]
    db.session.execute(insert(Result), results)


def _disable(made: list[Made], pasts: list[Past], manager: User) -> None:
    """A manager stops a mailing while it is being sent: its attempt ends with this second."""
    for m in made:
        if m.plan.disabled:
            mailing = db.session.get_one(Mailing, m.mailing_id)
            last = max((p.attempt for p in pasts if p.attempt["mailing_id"] == m.mailing_id), key=lambda a: a["due_at"])
            mailing.disabled_at, mailing.disabled_by_id = last["last_tried_at"], manager.id
            mailing.disabled_reason = m.plan.disabled
            mailing.updated_at = last["last_tried_at"]


def _insert(model: type[Model], rows: list[dict[str, Any]]) -> list[int]:
    """One statement for many rows; their ids, in order."""
    statement = insert(model).returning(model.id, sort_by_parameter_order=True)  # type: ignore[attr-defined]
    return list(db.session.scalars(statement, rows)) if rows else []
