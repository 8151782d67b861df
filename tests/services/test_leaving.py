import pytest
from sqlalchemy import func, insert, select

from mailservice.database import db, transaction
from mailservice.errors import Invalid, Refused
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Consent,
    Event,
    Post,
    Role,
    Turn,
    User,
    client_tags,
    mailing_filters,
)
from mailservice.services import leaving
from tests import factories
from tests.web import routes


def leave(user):
    with transaction():
        leaving.delete_account(user, proof=user.password_hash, address="192.0.2.1")


def tie_together(things):
    """What only lies between things, and a consent."""
    owner_id = things.owner.id
    with transaction() as session:
        session.add(Consent(owner_id=owner_id, email_normalised="boris@example.org", turn=Turn.UNSUBSCRIBED))
        pair = {"client_id": things.client_id, "tag_id": things.tag_id, "owner_id": owner_id}
        session.execute(insert(client_tags), [pair])
        pair = {"mailing_id": things.mailing_id, "filter_id": things.filter_id, "owner_id": owner_id}
        session.execute(insert(mailing_filters), [pair])


def rows_of(user_id):
    """How many rows of each table still name the user as their owner."""
    tables = [t for t in db.metadata.sorted_tables if "owner_id" in t.columns or "user_id" in t.columns]
    columns = [t.columns["owner_id" if "owner_id" in t.columns else "user_id"] for t in tables]
    return {c.table.name: db.session.scalar(select(func.count()).where(c == user_id)) for c in columns}


def test_everything_of_the_user_goes_and_nothing_of_anybody_else(app):
    user, other = factories.user(), factories.user()
    for owner in (user, other):
        tie_together(routes.make_things(owner))
    kept = rows_of(other.id)
    assert min(kept.values()) > 0
    leave(user)
    assert set(rows_of(user.id).values()) == {0}
    assert rows_of(other.id) == kept
    assert db.session.get(User, user.id) is None


def test_posts_stay_without_their_author_and_events_without_their_actor(app):
    user = factories.user()
    things = routes.make_things(user)
    user_id = user.id
    leave(user)
    assert db.session.get(Post, things.post_id).author_id is None
    event = db.session.scalars(select(Event).order_by(Event.id.desc())).first()
    assert (event.action, event.actor_id, event.subject_id) == ("account_deleted", None, user_id)


def test_nobody_leaves_while_a_mailing_of_his_is_being_sent(app):
    user = factories.user()
    things = routes.make_things(user)
    with transaction():
        db.session.get(Attempt, things.attempt_id).status = AttemptStatus.SENDING
    with pytest.raises(Refused):
        leave(user)
    assert db.session.get(User, user.id)


def test_the_only_administrator_stays(app):
    admin = factories.user(role=Role.ADMIN)
    with pytest.raises(Refused):
        leave(admin)
    factories.user(role=Role.ADMIN)
    leave(admin)
    assert db.session.scalar(select(func.count()).where(User.role == Role.ADMIN)) == 1


def test_a_password_that_was_changed_meanwhile_proves_nothing(app):
    user = factories.user()
    with pytest.raises(Invalid), transaction():
        leaving.delete_account(user, proof="an older hash", address=None)


def test_the_id_of_a_deleted_user_is_never_given_again(app):
    user = factories.user()
    user_id = user.id
    leave(user)
    assert factories.user().id > user_id


def test_what_goes_is_counted_before(app):
    user = factories.user()
    routes.make_things(user)
    found = leaving.belongings(user)
    assert (found.clients, found.messages, found.mailings, found.posts) == (1, 2, 1, 1)
