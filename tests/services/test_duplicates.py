import pytest
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid
from mailservice.models import Client, Suppression, SuppressionReason, mailing_clients
from mailservice.services import duplicates, tags, timeline
from mailservice.services.duplicates import Likeness
from tests import factories
from tests.services.test_timeline import deliver


@pytest.fixture
def owner(app):
    return factories.user()


def client(owner, email, **values):
    return factories.client(owner, email=email, **({"full_name": ""} | values))


def groups(owner, likeness=Likeness.MAILBOX):
    page = duplicates.groups(owner, likeness, number=1, size=25)
    return [[c.email for c in group.clients] for group in page.items]


def merge(owner, kept, *others):
    with transaction():
        return duplicates.merge(owner, keep_id=kept.id, ids=[c.id for c in others])


def suppress(owner, email, reason):
    with transaction() as session:
        session.add(Suppression(owner_id=owner.id, email_normalised=email, reason=reason))


def suppressions(owner):
    rows = db.session.scalars(select(Suppression).where(Suppression.owner_id == owner.id))
    return {row.email_normalised: row.reason for row in rows}


def test_one_mailbox_is_found_behind_plus_tags_and_the_dots_of_gmail(owner):
    for email in (
        *("anna@example.org", "anna+news@example.org", "anna+@example.org"),
        *("b.oris@gmail.com", "boris@googlemail.com", "bo.ri.s+x@gmail.com"),
        *("c.lara@example.org", "clara@example.org", "+dora@example.org", "+eva@example.org", "anna@example.net"),
    ):
        client(owner, email)
    client(factories.user(), "anna+other@example.org")
    assert groups(owner) == [
        ["anna@example.org", "anna+news@example.org", "anna+@example.org"],
        ["b.oris@gmail.com", "boris@googlemail.com", "bo.ri.s+x@gmail.com"],
    ]


def test_a_mailbox_is_one_however_it_is_spelt_and_wherever_the_plain_spelling_is(owner):
    alike = (
        ("anna@example.org", "anna+a+b@example.org"),
        ("boris+@example.org", "boris+x@example.org"),  # nobody has the plain one
        ("c.lara@gmail.com", "clara@gmail.com", "clara@googlemail.com", "cl.ara+x@googlemail.com"),
        ("dora@googlemail.com", "d.ora@gmail.com"),
    )
    alone = ("+eva@example.org", "eva@example.org", "f.edor@example.org", "fedor@example.org", "gleb@gmail.com")
    for email in (*alone, *(email for group in reversed(alike) for email in group), "h.@x.gmail.com", "h@x.gmail.com"):
        client(owner, email)
    assert sorted(map(sorted, groups(owner))) == sorted(map(sorted, alike))


def test_one_name_is_found_in_any_case_and_no_name_is_no_likeness(owner):
    for email, name in (("a@x.org", "Anna Petrova"), ("b@x.org", " anna petrova "), ("c@x.org", ""), ("d@x.org", "")):
        client(owner, email, full_name=name)
    assert groups(owner, Likeness.NAME) == [["a@x.org", "b@x.org"]]


def test_a_merged_client_brings_mailings_tags_comments_and_history_along(owner):
    kept, other = client(owner, "a@x.org", comment="Likes tea"), client(owner, "a+b@x.org", full_name="Anna")
    third = client(owner, "a+c@x.org", comment="Likes tea")
    both, only_other = (
        factories.mailing(owner, title=title, clients=some)
        for title, some in (("Both", [kept, other]), ("Only other", [other, third]))
    )
    factories.tag(owner, "VIP", kept, other)
    factories.tag(owner, "Moscow", other)
    deliver(both, kept, due=clock.now())
    deliver(only_other, other, due=clock.now())
    with transaction() as session:
        session.get_one(Client, other.id).comment = "Paid in March"
    merge(owner, kept, kept, other, third)
    left = db.session.scalars(select(Client).where(Client.owner_id == owner.id)).one()
    assert (left.id, left.email, left.full_name) == (kept.id, "a@x.org", "Anna")
    assert left.comment == "Likes tea\nPaid in March"
    assert tags.of_clients([left.id]) == {left.id: ["Moscow", "VIP"]}
    pairs = db.session.execute(select(mailing_clients.c.mailing_id, mailing_clients.c.client_id)).all()
    assert sorted(pairs) == [(both.id, left.id), (only_other.id, left.id)]
    told = [entry.line.title for entry in timeline.of(left, number=1, size=50).items if entry.line]
    assert sorted(told) == ["Both", "Only other"]


def test_a_suppression_of_either_holds(owner):
    kept, other = client(owner, "a@x.org"), client(owner, "a+b@x.org")
    suppress(owner, "a+b@x.org", SuppressionReason.COMPLAINT)
    merge(owner, kept, other)
    assert suppressions(owner) == {"a@x.org": SuppressionReason.COMPLAINT, "a+b@x.org": SuppressionReason.COMPLAINT}


def test_the_wish_not_to_be_written_to_is_the_strongest_reason(owner):
    kept, other = client(owner, "a@x.org"), client(owner, "a+b@x.org")
    suppress(owner, "a@x.org", SuppressionReason.HARD_BOUNCE)
    suppress(owner, "a+b@x.org", SuppressionReason.UNSUBSCRIBED)
    merge(owner, kept, other)
    assert suppressions(owner)["a@x.org"] is SuppressionReason.UNSUBSCRIBED


def test_only_ones_own_clients_are_merged_and_nothing_is_lost_on_the_way(owner):
    kept, theirs = client(owner, "a@x.org"), client(factories.user(), "b@x.org")
    for first, *others in ([theirs, kept], [kept, theirs], [kept, kept], [kept]):
        with pytest.raises(Invalid):
            merge(owner, first, *others)
    long = client(owner, "c@x.org", comment="x" * 3000), client(owner, "d@x.org", comment="y" * 3000)
    with pytest.raises(Invalid, match="comments"):
        merge(owner, *long)
    assert len(db.session.scalars(select(Client.id)).all()) == 4
