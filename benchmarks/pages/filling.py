"""An owner with very much of everything, made by PostgreSQL itself: a million rows in a minute or two."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import Connection, func, insert, select, text

from mailservice import clock
from mailservice.database import db, transaction, write
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Client,
    Delivery,
    Mailing,
    MailingStatus,
    Message,
    Periodicity,
    User,
)
from mailservice.models.batch import SIZE
from mailservice.sending.conditions import Conditions, Standing
from mailservice.services import audiences, filters, mailings, tags
from mailservice.services.audiences import Audience

LARGE = 5  # attempts that go to all clients and make up half of the deliveries, as far as the clients suffice
MESSAGES = 50
DAYS = 365  # over which the attempts lie

CLIENTS = """
INSERT INTO clients (owner_id, email, email_normalised, full_name, comment, created_at, updated_at)
SELECT :owner, address, address, (ARRAY['Anna Petrova ', 'Анна Петрова '])[1 + n % 2] || n, 'Asked for news',
    now() - n * interval '1 minute', now()
FROM (SELECT n, CASE WHEN n % 100 = 0 THEN 'user' || n - 1 || '+news@domain' || (n - 1) % 200 || '.example'
        ELSE 'user' || n || '@domain' || n % 200 || '.example' END AS address FROM generate_series(1, :number) n) made
"""
TAGGED = """
INSERT INTO client_tags (client_id, tag_id, owner_id)
SELECT id, :tag, :owner FROM clients WHERE owner_id = :owner AND id % :every = 0
"""
AUDIENCE = """
INSERT INTO mailing_clients (mailing_id, client_id, owner_id)
SELECT :mailing, id, :owner FROM clients WHERE owner_id = :owner ORDER BY id OFFSET :offset LIMIT :number
"""
BATCHES = """
INSERT INTO batches (attempt_id, number, size, waiting) SELECT :attempt, n, 0, 0
FROM generate_series(1, (:number + :size - 1) / :size) n
"""
DELIVERIES = """
INSERT INTO deliveries (attempt_id, batch, client_id, email, email_normalised, full_name, comment)
SELECT :attempt, 1 + (row_number() OVER (ORDER BY id) - 1) / :size, id, email, email_normalised, full_name, comment
FROM (SELECT c.* FROM clients c JOIN mailing_clients m ON m.client_id = c.id WHERE m.mailing_id = :mailing
      ORDER BY c.id LIMIT :number) chosen
"""
RESULTS = """
INSERT INTO results (delivery_id, attempt_id, round, state, reason, code, enhanced, reply, tried_at)
SELECT id, attempt_id, 1, state, CASE WHEN state = 'skipped' THEN 'suppressed' END,
    CASE state WHEN 'sent' THEN 250 WHEN 'failed' THEN 550 END,
    CASE state WHEN 'sent' THEN '2.0.0' WHEN 'failed' THEN (ARRAY['5.1.1', '5.2.2', '5.7.1'])[1 + n % 3] END,
    CASE state WHEN 'sent' THEN '250 2.0.0 Ok: queued as ' || id WHEN 'failed' THEN '550 refused' END,
    CAST(:began AS timestamptz) + n * interval '5 milliseconds'
FROM (SELECT id, attempt_id, n, CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 199 = 0 THEN 'unknown'
        WHEN n % 97 = 0 THEN 'skipped' ELSE 'sent' END AS state
      FROM (SELECT id, attempt_id, row_number() OVER (ORDER BY id) AS n FROM deliveries
            WHERE attempt_id = :attempt) numbered WHERE n <= :settled) judged
"""
COUNTS = """
UPDATE batches SET size = found.size, waiting = found.waiting, sent = found.sent, failed = found.failed,
    unknown = found.unknown, skipped = found.skipped
FROM (SELECT d.batch, count(*) AS size, count(*) - count(r.id) AS waiting,
        count(*) FILTER (WHERE r.state = 'sent') AS sent, count(*) FILTER (WHERE r.state = 'failed') AS failed,
        count(*) FILTER (WHERE r.state = 'unknown') AS unknown, count(*) FILTER (WHERE r.state = 'skipped') AS skipped
      FROM deliveries d LEFT JOIN results r ON r.delivery_id = d.id AND r.round = d.round
      WHERE d.attempt_id = :attempt GROUP BY d.batch) found
WHERE attempt_id = :attempt AND number = found.batch
"""
SUMS = """
UPDATE attempts SET sent = s.sent, failed = s.failed, unknown = s.unknown, skipped = s.skipped
FROM (SELECT sum(sent) AS sent, sum(failed) AS failed, sum(unknown) AS unknown, sum(skipped) AS skipped
      FROM batches WHERE attempt_id = :attempt) s
WHERE id = :attempt
"""
SUPPRESSIONS = """
INSERT INTO suppressions (owner_id, email_normalised, reason, detail, created_at)
SELECT :owner, 'gone' || n || '@domain' || n % 200 || '.example', 'hard_bounce', '550 5.1.1 unknown', now()
FROM generate_series(1, :number) n
"""


class Filled(NamedTuple):
    """What the pages are asked about: the largest of each kind; drafts to everybody, by list and by a filter."""

    mailing_id: int
    attempt_id: int
    delivery_id: int
    client_id: int
    filter_id: int
    open_mailing_id: int
    open_attempt_id: int
    small_mailing_id: int
    draft_id: int
    filtered_id: int
    deliveries: int


def fill(owner_id: int, *, clients: int, mailings: int, deliveries: int) -> Filled:
    with write() as connection:
        connection.execute(text(CLIENTS), {"owner": owner_id, "number": clients})
        connection.execute(text(SUPPRESSIONS), {"owner": owner_id, "number": clients // 50})
        messages = _messages(connection, owner_id)
    large = min(LARGE, max(2, deliveries // 2 // clients))
    small = max(1, (deliveries - large * clients) // max(1, mailings - large))
    made = []
    for number in range(mailings):
        size = clients if number < large else min(small, clients)
        made.append(_mailing(owner_id, number, messages[number % MESSAGES], size, clients))
    total = sum(size for _, _, size in made)
    with transaction():
        return further(owner_id, [(mailing_id, attempt_id) for mailing_id, attempt_id, _ in made], total)


def further(owner_id: int, made: list[tuple[int, int]], deliveries: int) -> Filled:
    """Tags, a filter, and drafts beside the mailings that are made."""
    owner = db.session.get_one(User, owner_id)
    (open_mailing_id, open_attempt_id), (mailing_id, attempt_id), (small_mailing_id, _) = made[0], made[1], made[-1]
    draft, filtered = (mailings.duplicate(mailings.own(owner, number)) for number in (mailing_id, small_mailing_id))
    for name, every in (("Many", 3), ("Few", 1000)):
        values = {"owner": owner_id, "tag": tags.ensure(owner, [name])[name.lower()], "every": every}
        db.session.execute(text(TAGGED), values)
    wanted = Conditions(not_got=small_mailing_id, standing=Standing.MAILABLE)
    saved = filters.create(owner, name="All the others", wanted=wanted)
    audiences.assign(filtered, Audience(), [saved.id])
    delivery_id = db.session.scalar(select(func.min(Delivery.id)).where(Delivery.attempt_id == attempt_id))
    return Filled(
        mailing_id=mailing_id,
        attempt_id=attempt_id,
        delivery_id=delivery_id or 0,
        client_id=db.session.scalar(select(func.min(Client.id)).where(Client.owner_id == owner_id)) or 0,
        filter_id=saved.id,
        open_mailing_id=open_mailing_id,
        open_attempt_id=open_attempt_id,
        small_mailing_id=small_mailing_id,
        draft_id=draft.id,
        filtered_id=filtered.id,
        deliveries=deliveries,
    )


def _messages(connection: Connection, owner_id: int) -> list[int]:
    rows = [
        {"owner_id": owner_id, "subject": f"News {n}", "body": "Good day, {{ first_name }}!"} for n in range(MESSAGES)
    ]
    return list(connection.scalars(insert(Message).returning(Message.id), rows))


def _mailing(owner_id: int, number: int, message_id: int, size: int, clients: int) -> tuple[int, int, int]:
    """A mailing and its attempt, the first one still half on its way; ids and how many deliveries."""
    began = clock.now() - timedelta(days=number * DAYS / 1000, minutes=10)
    is_open = number == 0
    with write() as connection:
        mailing_id = connection.scalar(
            insert(Mailing).returning(Mailing.id),
            {
                "owner_id": owner_id,
                "title": f"Mailing {number}",
                "message_id": message_id,
                "start_local": began.replace(tzinfo=None),
                "time_zone": "UTC",
                "periodicity": Periodicity.MONTHLY,
                "status": MailingStatus.RUNNING,
                "next_occurrence": 1,
                "next_at": began + timedelta(days=400),
            },
        )
        attempt_id = connection.scalar(
            insert(Attempt).returning(Attempt.id),
            {
                "mailing_id": mailing_id,
                "owner_id": owner_id,
                "occurrence": 0,
                "due_at": began,
                "began_at": began,
                "last_tried_at": began + timedelta(minutes=9),
                "finished_at": None if is_open else began + timedelta(minutes=9),
                "status": AttemptStatus.SENDING if is_open else AttemptStatus.DONE,
                "succeeded": None if is_open else False,
                "audience": size,
                "subject": "News",
                "body": "Good day",
                "sender": "news@example.org",
                "server_reply": "550 5.1.1 unknown",
            },
        )
        offset = (number * 501) % max(1, clients - size + 1)
        values = {"owner": owner_id, "mailing": mailing_id, "attempt": attempt_id, "number": size, "size": SIZE}
        values |= {"offset": offset, "began": began, "settled": size // 2 if is_open else size}
        for statement in (AUDIENCE, BATCHES, DELIVERIES, RESULTS, COUNTS):
            connection.execute(text(statement), values)
        if not is_open:
            connection.execute(text(SUMS), values)
    return int(mailing_id or 0), int(attempt_id or 0), size
