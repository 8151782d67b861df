import pytest

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, AttemptStatus, Mailing, MailingStatus
from mailservice.services import many_mailings
from tests import factories


@pytest.fixture
def owner(app):
    return factories.user()


def titles():
    db.session.rollback()
    return {m.title: bool(m.paused_at) for m in db.session.query(Mailing)}


def test_it_is_done_to_all_that_allow_it_and_the_others_are_named(owner):
    ids = [factories.mailing(owner, title=title).id for title in ("A", "B")]
    ids.append(factories.mailing(owner, title="C", status=MailingStatus.FINISHED, next_at=None).id)
    with transaction():
        done = many_mailings.pause(owner, ids)
    assert done.number == 2
    assert [title for title, _why in done.refused] == ["C"]
    assert titles() == {"A": True, "B": True, "C": False}
    with transaction():
        assert many_mailings.resume(owner, ids).number == 3
    assert not any(titles().values())


def test_what_is_being_sent_is_not_deleted_with_the_others(owner):
    ids = [factories.mailing(owner, title=title).id for title in ("A", "B")]
    with transaction() as session:
        values = {"mailing_id": ids[0], "owner_id": owner.id, "occurrence": 0, "due_at": clock.now()}
        session.add(Attempt(status=AttemptStatus.SENDING, **values))
    with transaction():
        done = many_mailings.delete(owner, ids)
    assert (done.number, [title for title, _why in done.refused]) == (1, ["A"])
    assert titles() == {"A": False}


def test_mailings_of_others_and_impossible_numbers_are_not_there(owner):
    theirs = factories.mailing(factories.user(), title="Theirs").id
    with transaction():
        assert many_mailings.delete(owner, [theirs, 0, -1, 2**63, 10**30]).number == 0
    assert "Theirs" in titles()
