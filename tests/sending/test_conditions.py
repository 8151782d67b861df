from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Batch,
    Client,
    Delivery,
    Result,
    State,
    Suppression,
    SuppressionReason,
)
from mailservice.sending import conditions
from mailservice.sending.conditions import Conditions, Standing
from tests import factories

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def people(owner):
    """Three clients by name, and a stranger's who is like the first."""
    factories.client(factories.user(), email="anna@example.org")
    return {name: factories.client(owner, email=f"{name}@example.org") for name in ("anna", "boris", "clara")}


def meant(owner, wanted, **options):
    query = select(Client.email).where(conditions.where(wanted, owner.id, now=NOW, **options)).order_by(Client.email)
    return [email.partition("@")[0] for email in db.session.scalars(query)]


EVERYTHING = Conditions(
    words="Анна",
    any_tags=(1, 2),
    all_tags=(3,),
    no_tags=(4,),
    domains=("example.org",),
    added_from=date(2026, 1, 1),
    added_until=date(2026, 1, 1),
    time_zone="Europe/Moscow",
    added_days=30,
    got=5,
    not_got=6,
    standing=Standing.MAILABLE,
)


def test_conditions_come_back_from_json_as_they_were():
    assert conditions.read(conditions.as_json(EVERYTHING)) == EVERYTHING
    assert conditions.as_json(Conditions()) == {}
    assert conditions.read({}) == Conditions()


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        [],
        "words",
        {"wordz": "a"},
        {"words": 1},
        {"words": None},
        {"words": "a\x00"},
        {"words": "x" * 201},
        {"any_tags": 1},
        {"any_tags": "12"},
        {"any_tags": ["1"]},
        {"any_tags": [True]},
        {"any_tags": [0]},
        {"any_tags": [2**63]},
        {"any_tags": list(range(1, 60))},
        {"domains": ["EXAMPLE.org"]},
        {"domains": ["a@example.org"]},
        {"domains": ["пример.рф"]},
        {"domains": [""]},
        {"domains": [None]},
        {"added_from": "yesterday"},
        {"added_from": 20260101},
        {"added_from": "1970-01-01"},
        {"added_from": "2026-01-02", "added_until": "2026-01-01"},
        {"added_days": 0},
        {"added_days": "7"},
        {"added_days": 10**9},
        {"time_zone": "Moscow"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": 3},
        {"got": -1},
        {"got": 1.5},
        {"got": 7, "not_got": 7},
        {"standing": "blue"},
        {"standing": 1},
    ],
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises(conditions.Nonsense):
        conditions.read(nonsense)


def test_without_conditions_every_client_of_the_owner_is_meant_and_nobody_elses(owner, people):
    assert meant(owner, Conditions()) == ["anna", "boris", "clara"]


def test_words_are_sought_in_address_name_and_comment(owner):
    factories.client(owner, email="by-address@example.org")
    factories.client(owner, email="n@example.org", full_name="By-Address")
    factories.client(owner, email="c@example.org", comment="likes by-address")
    factories.client(owner, email="other@example.org")
    assert meant(owner, Conditions(words="BY-ADDRESS")) == ["by-address", "c", "n"]


def test_tags_any_all_none(owner, people):
    vip = factories.tag(owner, "VIP", people["anna"], people["boris"])
    moscow = factories.tag(owner, "Moscow", people["boris"], people["clara"])
    both = (vip.id, moscow.id)
    assert meant(owner, Conditions(any_tags=(vip.id,))) == ["anna", "boris"]
    assert meant(owner, Conditions(any_tags=both)) == ["anna", "boris", "clara"]
    assert meant(owner, Conditions(all_tags=both)) == ["boris"]
    assert meant(owner, Conditions(no_tags=(vip.id,))) == ["clara"]
    assert meant(owner, Conditions(any_tags=(moscow.id,), no_tags=(vip.id,))) == ["clara"]
    assert meant(owner, Conditions(all_tags=both), between=(1, people["anna"].id)) == []
    assert meant(owner, Conditions(any_tags=both), between=(people["anna"].id, people["boris"].id)) == ["anna", "boris"]


def test_somebody_elses_tag_finds_nobody(owner, people):
    stranger = factories.user()
    theirs = factories.tag(stranger, "VIP", factories.client(stranger))
    assert meant(owner, Conditions(any_tags=(theirs.id,))) == []


def test_a_domain_is_all_that_stands_behind_the_at_sign(owner, people):
    for email in ("a@sub.example.org", "b@badexample.org", "c@examplexorg", "example.org@other.net"):
        factories.client(owner, email=email)
    assert meant(owner, Conditions(domains=("example.org",))) == ["anna", "boris", "clara"]
    assert meant(owner, Conditions(domains=("sub.example.org", "other.net"))) == ["a", "example.org"]
    assert meant(owner, Conditions(domains=("example_org", "%"))) == []


def test_days_are_whole_days_of_the_zone(owner):
    moscow_midnight = datetime(2026, 3, 1, 21, tzinfo=UTC)  # of the 2nd
    for name, at in (("before", moscow_midnight - timedelta(seconds=1)), ("first", moscow_midnight)):
        factories.client(owner, email=f"{name}@example.org", created_at=at)
    factories.client(owner, email="last@example.org", created_at=moscow_midnight + timedelta(hours=23, minutes=59))
    day = date(2026, 3, 2)
    assert meant(owner, Conditions(added_from=day, added_until=day, time_zone="Europe/Moscow")) == ["first", "last"]
    assert meant(owner, Conditions(added_until=date(2026, 3, 1), time_zone="Europe/Moscow")) == ["before"]


def test_the_last_days_are_counted_from_the_moment_of_asking(owner):
    factories.client(owner, email="new@example.org", created_at=NOW - timedelta(days=7))
    factories.client(owner, email="old@example.org", created_at=NOW - timedelta(days=7, seconds=1))
    assert meant(owner, Conditions(added_days=7)) == ["new"]


def deliver(mailing, **states):
    """An attempt with a delivery to each client, by id, with this last result."""
    with transaction() as session:
        attempt = Attempt(mailing_id=mailing.id, owner_id=mailing.owner_id, occurrence=0, due_at=clock.now())
        attempt.status = AttemptStatus.DONE
        session.add(attempt)
        session.flush()
        counts = Counter(state.value for _client, state in states.values())
        batch = {"attempt_id": attempt.id, "number": 1, "size": counts.total(), "waiting": 0}
        session.execute(insert(Batch), [batch | counts])
        for client, state in states.values():
            values = {"email": client.email, "email_normalised": client.email, "full_name": "", "comment": ""}
            delivery = Delivery(attempt_id=attempt.id, batch=1, client_id=client.id, round=1, **values)
            session.add(delivery)
            session.flush()
            row = {"delivery_id": delivery.id, "attempt_id": attempt.id, "round": 1, "state": state}
            session.execute(insert(Result), [row | {"tried_at": clock.now()}])


def test_who_got_a_mailing_and_who_did_not(owner, people):
    mailing, other = factories.mailing(owner, clients=[]), factories.mailing(owner, clients=[])
    anna, boris, clara = people.values()
    deliver(mailing, a=(anna, State.SENT), b=(boris, State.FAILED), c=(clara, State.UNKNOWN))
    deliver(other, b=(boris, State.SENT))
    assert meant(owner, Conditions(got=mailing.id)) == ["anna", "clara"]
    assert meant(owner, Conditions(not_got=mailing.id)) == ["boris"]
    assert meant(owner, Conditions(got=mailing.id, not_got=other.id)) == ["anna", "clara"]
    for client, got in ((anna, True), (boris, False), (clara, True)):
        between = (client.id, client.id)
        assert bool(meant(owner, Conditions(got=mailing.id), between=between)) is got
        assert bool(meant(owner, Conditions(not_got=mailing.id), between=between)) is not got


def test_of_a_mailing_that_is_gone_or_somebody_elses_nobody_is_meant(owner, people):
    theirs = factories.mailing(factories.user(), clients=[])
    for mailing_id in (theirs.id, 2**62):
        assert meant(owner, Conditions(not_got=mailing_id)) == []
        assert meant(owner, Conditions(got=mailing_id)) == []
    deliver(theirs, anna=(people["anna"], State.SENT))  # nor does what they sent to his clients count
    assert meant(owner, Conditions(got=theirs.id)) == []
    assert meant(owner, Conditions(got=theirs.id), between=(1, people["clara"].id)) == []


def test_mailable_or_suppressed(owner, people):
    stranger = factories.user()
    with transaction() as session:
        for owner_id, name in ((owner.id, "anna"), (stranger.id, "boris")):
            row = {"email_normalised": f"{name}@example.org", "reason": SuppressionReason.UNSUBSCRIBED}
            session.add(Suppression(owner_id=owner_id, **row))
    assert meant(owner, Conditions(standing=Standing.SUPPRESSED)) == ["anna"]
    assert meant(owner, Conditions(standing=Standing.MAILABLE)) == ["boris", "clara"]


def test_a_tag_is_replaced_wherever_it_stands():
    wanted = Conditions(any_tags=(1, 2), all_tags=(1,), no_tags=(3,))
    assert conditions.replace_tag(wanted, 1, 2) == Conditions(any_tags=(2,), all_tags=(2,), no_tags=(3,))
