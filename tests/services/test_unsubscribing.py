import pytest
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Consent, LeavingReason, Suppression, SuppressionReason, Turn
from mailservice.services import clients, duplicates, unsubscribing
from tests import factories
from tests.engine import run_senders

pytestmark = pytest.mark.usefixtures("app")
ADDRESS = "boris@example.org"


@pytest.fixture
def owner(app):
    return factories.user()


def unsubscribe(owner, address=ADDRESS):
    with transaction():
        unsubscribing.unsubscribe(owner.id, email_normalised=address)


def take_back(owner, address=ADDRESS):
    with transaction():
        unsubscribing.take_back(owner.id, email_normalised=address)


def is_unsubscribed(owner):
    return unsubscribing.is_unsubscribed(owner.id, email_normalised=ADDRESS)


def test_unsubscribing_puts_the_address_on_the_owners_stop_list_once(owner):
    unsubscribe(owner)
    unsubscribe(owner)
    assert is_unsubscribed(owner)
    assert db.session.scalar(select(func.count()).select_from(Suppression)) == 1


def test_it_concerns_one_owner_only(owner):
    unsubscribe(owner)
    assert not is_unsubscribed(factories.user())


def test_a_mistake_is_taken_back(owner):
    unsubscribe(owner)
    take_back(owner)
    assert not is_unsubscribed(owner)
    take_back(owner)


def test_another_reason_comes_back_with_the_mistake(owner):
    with transaction() as session:
        row = {"owner_id": owner.id, "email_normalised": ADDRESS, "reason": SuppressionReason.BY_HAND}
        session.add(Suppression(**row))
    unsubscribe(owner)
    assert is_unsubscribed(owner)
    take_back(owner)
    kept = db.session.scalars(select(Suppression)).one()
    assert kept.reason is SuppressionReason.BY_HAND


def test_taking_back_lifts_nothing_but_an_unsubscribing(owner):
    with transaction() as session:
        row = {"owner_id": owner.id, "email_normalised": ADDRESS, "reason": SuppressionReason.HARD_BOUNCE}
        session.add(Suppression(**row))
    take_back(owner)
    assert db.session.scalars(select(Suppression)).one().reason is SuppressionReason.HARD_BOUNCE


def test_the_letters_of_a_deleted_owner_may_still_be_clicked(owner):
    with transaction():
        unsubscribing.unsubscribe(owner.id + 1000, email_normalised=ADDRESS)
    assert db.session.scalars(select(Suppression)).all() == []


def say_why(owner, leaving=LeavingReason.TOO_OFTEN, said="Once a day!"):
    with transaction():
        unsubscribing.say_why(owner.id, email_normalised=ADDRESS, leaving=leaving, said=said)


def turns():
    return db.session.scalars(select(Consent.turn).order_by(Consent.id)).all()


def test_every_turn_is_written_down_once(owner):
    for _ in range(2):
        unsubscribe(owner)
    for _ in range(2):
        say_why(owner)
    for _ in range(2):
        take_back(owner)
    assert turns() == [Turn.UNSUBSCRIBED, Turn.SAID_WHY, Turn.TOOK_BACK]


def test_the_servers_words_come_back_with_the_reason_before(owner):
    with transaction() as session:
        row = {"owner_id": owner.id, "email_normalised": ADDRESS, "reason": SuppressionReason.HARD_BOUNCE}
        session.add(Suppression(**row, detail="550 5.1.1 User unknown"))
    unsubscribe(owner)
    say_why(owner)
    take_back(owner)
    kept = db.session.scalars(select(Suppression)).one()
    assert (kept.reason, kept.detail) == (SuppressionReason.HARD_BOUNCE, "550 5.1.1 User unknown")
    assert (kept.before, kept.leaving, kept.said) == (None, None, "")


def test_whose_address_has_changed_since_the_letter_is_unsubscribed_there_too(owner, mail_server):
    """Merged with another, or moved: the letter's link names the address that it went to."""
    kept, other = (factories.client(owner, email=email) for email in ("boris@example.com", ADDRESS))
    stranger = factories.client(factories.user(), email="boris@example.net")
    factories.mailing(owner, clients=[kept, other], next_at=clock.now(), next_occurrence=0)
    run_senders()
    with transaction():
        duplicates.merge(owner, keep_id=kept.id, ids=[other.id])
    unsubscribe(owner)
    stopped = select(Suppression.owner_id, Suppression.email_normalised).order_by(Suppression.id)
    assert db.session.execute(stopped).all() == [(owner.id, ADDRESS), (owner.id, "boris@example.com")]
    assert not unsubscribing.is_unsubscribed(stranger.owner_id, email_normalised="boris@example.net")
    take_back(owner)
    assert db.session.execute(stopped).all() == []


def test_a_link_takes_back_what_it_has_done_and_nobody_elses_word(owner, mail_server):
    """Boris has left by a link of his own; the letter to his client's former address is in other hands."""
    client = factories.client(owner, email="typo@example.org")
    factories.mailing(owner, clients=[client], next_at=clock.now(), next_occurrence=0)
    run_senders()
    with transaction():
        clients.change(client, email=ADDRESS, full_name="Boris", comment="")
    unsubscribe(owner)
    for stranger in (take_back, unsubscribe, take_back):
        stranger(owner, "typo@example.org")
        assert is_unsubscribed(owner)
    take_back(owner)
    assert not is_unsubscribed(owner)
