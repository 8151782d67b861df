import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Consent, Event, Suppression, SuppressionReason, Turn
from mailservice.services import clients, consents, suppressions
from tests import factories

ADDRESS = "boris@example.org"


@pytest.fixture
def owner(app):
    return factories.user()


def stop(owner, reason=SuppressionReason.BY_HAND, email=ADDRESS, **values):
    with transaction() as session:
        row = Suppression(owner_id=owner.id, email_normalised=email, reason=reason, **values)
        session.add(row)
    return row


def add(owner, pasted, note=""):
    with transaction():
        return suppressions.add(owner, pasted=pasted, note=note, address="192.0.2.1")


def lift(owner, row, note="he called"):
    with transaction():
        return suppressions.lift(owner, row.id, note=note, address="192.0.2.1")


def found(owner, words="", reason=None, order="newest"):
    page = suppressions.search(owner, words=words, reason=reason, order=order, number=1, size=50)
    return [(entry.row.email_normalised, entry.client_id) for entry in page.items]


def listed(owner, **asked):
    return [email for email, _ in found(owner, **asked)]


def actions():
    return db.session.scalars(select(Event.action).order_by(Event.id)).all()


def test_pasted_addresses_are_added_once_however_they_are_separated(owner):
    stop(owner, SuppressionReason.UNSUBSCRIBED)
    pasted = "Vera@Example.org, <gleb@example.org>;\n\nvera@example.org\tBORIS@example.org"
    assert add(owner, pasted, note="wrote to us") == (2, 1)
    assert listed(owner, order="address") == [ADDRESS, "gleb@example.org", "vera@example.org"]
    rows = {row.email_normalised: row for row in db.session.scalars(select(Suppression))}
    assert rows[ADDRESS].reason is SuppressionReason.UNSUBSCRIBED
    assert (rows["vera@example.org"].reason, rows["vera@example.org"].detail) == ("by_hand", "wrote to us")


def test_a_wrong_address_among_many_is_named_and_nothing_is_added(owner):
    with pytest.raises(Invalid) as refused:
        add(owner, "vera@example.org nonsense")
    assert refused.value.field == "pasted"
    assert "nonsense" in refused.value.message
    assert listed(owner) == []
    for empty in ("", " , ;\n", "x " * 3000):
        with pytest.raises(Invalid):
            add(owner, empty)


def test_each_act_leaves_an_event_without_anybodys_address_and_a_turn_with_the_reason(owner):
    add(owner, ADDRESS)
    lift(owner, db.session.scalars(select(Suppression)).one())
    events = db.session.scalars(select(Event).order_by(Event.id)).all()
    assert [(event.action, event.actor_id) for event in events] == [
        ("suppressed", owner.id),
        ("suppression_lifted", owner.id),
    ]
    assert ADDRESS not in str([event.detail for event in events])
    turns = db.session.scalars(select(Consent).order_by(Consent.id)).all()
    assert [(turn.turn, turn.detail) for turn in turns] == [
        (Turn.STOPPED, {}),
        (Turn.LIFTED, {"note": "he called", "was": "by_hand"}),
    ]
    assert listed(owner) == []


@pytest.mark.parametrize("reason", [SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT])
def test_the_owner_does_not_lift_what_a_person_asked_for(owner, reason):
    row = stop(owner, reason)
    with pytest.raises(Refused):
        lift(owner, row)
    assert listed(owner) == [ADDRESS]
    assert actions() == []


def test_a_complaint_is_lifted_once_its_person_has_asked_for_it(owner):
    row = stop(owner, SuppressionReason.COMPLAINT)
    with transaction():
        consents.note(owner.id, ADDRESS, Turn.ASKED_BACK, text="I agree.")
    assert lift(owner, row) == ADDRESS


def test_an_older_confirmation_lifts_no_complaint(owner):
    with transaction():
        consents.note(owner.id, ADDRESS, Turn.CONFIRMED, text="I agree.")
    with pytest.raises(Refused):
        lift(owner, stop(owner, SuppressionReason.COMPLAINT))


def test_lifting_needs_a_reason(owner):
    row = stop(owner, SuppressionReason.HARD_BOUNCE)
    for note in ("", "  ", "a\nb"):
        with pytest.raises(Invalid) as refused:
            lift(owner, row, note)
        assert refused.value.field == "note"
    assert lift(owner, row, "the mailbox exists now") == ADDRESS


def test_the_list_is_the_owners_and_can_be_searched_filtered_and_ordered(owner):
    client = factories.client(owner, email=ADDRESS)
    stop(owner)
    stop(owner, SuppressionReason.HARD_BOUNCE, "anna@example.org", detail="550 5.1.1 User unknown")
    stop(owner, SuppressionReason.UNSUBSCRIBED, "vera@example.org", said="Слишком часто")
    stop(factories.user(), email="other@example.org")
    assert found(owner, words="BORIS") == [(ADDRESS, client.id)]
    assert listed(owner, order="address") == ["anna@example.org", ADDRESS, "vera@example.org"]
    assert listed(owner) == ["vera@example.org", "anna@example.org", ADDRESS]
    assert listed(owner, order="oldest") == [ADDRESS, "anna@example.org", "vera@example.org"]
    assert listed(owner, reason=SuppressionReason.HARD_BOUNCE) == ["anna@example.org"]
    assert listed(owner, words="user unknown") == ["anna@example.org"]
    assert listed(owner, words="слишком") == ["vera@example.org"]


def test_somebody_elses_entry_does_not_exist(owner):
    row = stop(factories.user())
    with pytest.raises(NotFound):
        suppressions.own(owner, row.id)
    with pytest.raises(NotFound):
        lift(owner, row)


def test_an_entry_outlives_its_client_and_meets_him_when_he_is_added_again(owner):
    client = factories.client(owner, email=ADDRESS)
    stop(owner, SuppressionReason.UNSUBSCRIBED)
    with transaction():
        clients.delete(clients.own(owner, client.id))
    assert found(owner) == [(ADDRESS, None)]
    again = factories.client(owner, email=ADDRESS)
    assert found(owner) == [(ADDRESS, again.id)]


def test_the_list_says_who_has_asked_to_be_let_back_since(owner):
    with transaction():
        consents.note(owner.id, "early@example.org", Turn.ASKED_BACK)
    for email in (ADDRESS, "early@example.org"):
        stop(owner, SuppressionReason.HARD_BOUNCE, email)
    with transaction():
        consents.note(owner.id, ADDRESS, Turn.ASKED_BACK)
    page = suppressions.search(owner, words="", reason=None, order="newest", number=1, size=50)
    assert [entry.row.email_normalised for entry in page.items if entry.asked_at] == [ADDRESS]


def test_a_consent_is_never_changed(owner):
    with transaction():
        consents.note(owner.id, ADDRESS, Turn.CONFIRMED, text="I agree.")
    with pytest.raises(RuntimeError), transaction() as session:
        session.scalars(select(Consent)).one().turn = Turn.RETURNED
