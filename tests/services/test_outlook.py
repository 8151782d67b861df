from datetime import timedelta

import pytest

from mailservice import clock
from mailservice.database import transaction
from mailservice.errors import Invalid
from mailservice.models import Attempt, AttemptStatus, Periodicity, Suppression, SuppressionReason
from mailservice.services import audiences, mailings, outlook
from mailservice.services.outlook import Recipients
from mailservice.services.schedule import Schedule
from tests import factories
from tests.engine import run_senders, states_of

SECOND = timedelta(seconds=1)


@pytest.fixture
def owner(app):
    made = factories.user(time_zone="UTC")
    for name in ("anna", "boris", "clara"):
        factories.client(made, email=f"{name}@example.org", full_name=name.title())
    return made


def suppress(owner, email):
    with transaction() as session:
        values = {"owner_id": owner.id, "email_normalised": email, "reason": SuppressionReason.BY_HAND}
        session.add(Suppression(**values))


def make(owner, audience):
    plan = Schedule(clock.now().replace(tzinfo=None) - SECOND, "UTC", Periodicity.ONCE)
    message_id = factories.message(owner).id
    with transaction():
        return mailings.create(owner, title="Digest", message_id=message_id, plan=plan, audience=audience)


def test_the_numbers_are_those_of_the_attempt_that_follows(owner, mail_server):
    suppress(owner, "boris@example.org")
    suppress(owner, "nobody@example.org")
    suppress(factories.user(), "anna@example.org")
    mailing = make(owner, audiences.everyone())
    found = outlook.recipients(mailing)
    assert found == Recipients(number=2, suppressed=1, doubled=0, unknown=0)
    run_senders()
    states = list(states_of(mailing).values())
    assert (states.count("sent"), states.count("skipped")) == (found.number, found.suppressed)


def test_pasted_addresses_that_are_left_out_are_counted(owner):
    pasted = "anna@example.org\nANNA@example.org\nboris@example.org, nobody@example.org; no address at all"
    with pytest.raises(Invalid):
        audiences.chosen(owner, pasted=pasted)
    mailing = make(owner, audiences.chosen(owner, pasted=pasted, leave_out=True))
    assert outlook.recipients(mailing) == Recipients(number=2, suppressed=0, doubled=1, unknown=2)
    assert outlook.recipients(mailing).left_out == 3


def test_all_who_match_are_chosen_together_with_single_ones(owner):
    single = audiences.find(owner, "boris")[0].id
    factories.client(factories.user(), email="anna@example.com")
    chosen = audiences.chosen(owner, pasted="anna@example.org", ticked=[single], matching=["ann", "an", ""])
    assert audiences.as_text(make(owner, chosen)) == "anna@example.org\nboris@example.org"
    assert audiences.count_matching(owner, "example.org") == 3


def closed(mailing, occurrence, *, sent, seconds, status=AttemptStatus.DONE):
    now = clock.now()
    with transaction() as session:
        row = Attempt(
            mailing_id=mailing.id, owner_id=mailing.owner_id, occurrence=occurrence, due_at=now, status=status
        )
        row.began_at, row.last_tried_at, row.sent = now - seconds * SECOND, now, sent
        session.add(row)


def test_how_long_it_takes_is_told_by_late_attempts_and_limits(owner):
    assert outlook.duration(owner, 100) is None
    assert outlook.duration(owner, 100, per_second=4) == 25 * SECOND
    mailing = factories.mailing(owner)
    closed(mailing, 0, sent=300, seconds=20)
    closed(mailing, 1, sent=100, seconds=20)
    closed(mailing, 2, sent=9000, seconds=1, status=AttemptStatus.CANCELLED)
    assert outlook.duration(owner, 100) == 10 * SECOND
    assert outlook.duration(owner, 100, per_second=5) == 20 * SECOND
    assert outlook.duration(owner, 2001, per_hour=1000) == timedelta(hours=2)
    assert outlook.duration(owner, 0) is None
