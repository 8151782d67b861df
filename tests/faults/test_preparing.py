"""kill -9 while an audience is prepared from a saved filter: nobody is lost, nobody doubled."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, insert, select

from mailservice import clock
from mailservice.database import db, read, write
from mailservice.models import Attempt, AttemptStatus, Client, Delivery, mailing_filters
from mailservice.sending import settling
from tests import factories
from tests.faults.conftest import wait_until

CLIENTS = 40_000  # eight slices


def prepared(connection):
    return connection.execute(select(Attempt.audience, Attempt.status)).one_or_none() or (0, None)


def test_a_preparation_killed_between_slices_goes_on_where_it_stopped(app, mail_server, processes):
    owner = factories.user()
    saved = factories.saved_filter(owner, domains=["example.org"])
    start = clock.now() - timedelta(seconds=1)
    mailing = factories.mailing(owner, clients=[], next_at=start, next_occurrence=0)
    now = clock.now()
    row = {"owner_id": owner.id, "full_name": "", "comment": "", "created_at": now, "updated_at": now}
    addresses = [f"c{n}@example.org" for n in range(CLIENTS)]
    using = {"mailing_id": mailing.id, "filter_id": saved.id, "owner_id": owner.id}
    db.session.rollback()
    with write() as connection:
        connection.execute(insert(Client), [row | {"email": a, "email_normalised": a} for a in addresses])
        connection.execute(insert(mailing_filters), [using])

    victim = processes.start("send-mailings")

    def has_begun():
        with read() as connection:
            return prepared(connection)[0] > 0

    wait_until(has_begun, what="the first slice")
    victim.kill()
    victim.wait()
    with read() as connection:
        stopped_at, status = prepared(connection)
    assert status is AttemptStatus.PREPARING
    assert stopped_at < CLIENTS

    def is_prepared():
        settling.prepare(sender="a@example.org", seconds=60)  # nothing, while the dead one's last slice is rolled back
        with read() as connection:
            return prepared(connection) == (CLIENTS, AttemptStatus.SENDING)

    wait_until(is_prepared, seconds=60, what="the whole audience")
    with read() as connection:
        assert connection.scalar(select(func.count(Delivery.client_id.distinct()))) == CLIENTS
        assert connection.scalar(select(func.count()).select_from(Delivery)) == CLIENTS
