import pytest
from sqlalchemy import func, select

from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Message
from mailservice.services import messages
from tests import factories


@pytest.fixture
def owner(app):
    return factories.user()


def create(owner, subject="News", body="Good day"):
    with transaction():
        return messages.create(owner, subject=subject, body=body)


def test_a_message_is_kept_as_it_was_written(owner):
    message = create(owner, "News for {{ first_name | friend }}", "# Hello\r\n\r\n**{{ full_name }}**")
    assert message.subject == "News for {{ first_name | friend }}"
    assert message.body == "# Hello\n\n**{{ full_name }}**"


@pytest.mark.parametrize(
    ("field", "subject", "body"),
    [
        ("subject", "", "text"),
        ("subject", "   ", "text"),
        ("subject", "a" * 251, "text"),
        ("subject", "two\nlines", "text"),
        ("subject", "=?utf-8?b?QQ==?=", "text"),
        ("subject", "\x00", "text"),
        ("subject", "{{ password }}", "text"),
        ("subject", "{{ unsubscribe_url }}", "text"),
        ("body", "News", ""),
        ("body", "News", "\x00"),
        ("body", "News", "{{ nobody }}"),
        ("body", "News", "{{ first_name"),
        ("body", "News", "a" * 200_001),
    ],
)
def test_what_cannot_become_a_letter_is_refused_beside_its_field(owner, field, subject, body):
    with pytest.raises(Invalid) as error:
        create(owner, subject, body)
    assert error.value.field == field
    assert db.session.scalar(select(func.count()).select_from(Message)) == 0


def test_somebody_elses_message_is_not_there(owner):
    message = factories.message(factories.user())
    for message_id in (message.id, 0, 2**63, 2**80):
        with pytest.raises(NotFound):
            messages.own(owner, message_id)
    assert messages.search(owner).items == []
    assert messages.choices(owner) == []


def test_a_message_that_a_mailing_uses_is_not_deleted_and_the_mailing_is_named(owner):
    message = factories.message(owner)
    factories.mailing(owner, message=message, title="Weekly digest")
    with pytest.raises(Refused, match="Weekly digest"), transaction():
        messages.delete(messages.own(owner, message.id, lock=True))
    assert messages.own(owner, message.id)


def test_a_message_that_nothing_uses_is_deleted(owner):
    message = factories.message(owner)
    with transaction():
        messages.delete(messages.own(owner, message.id, lock=True))
    assert messages.search(owner).total == 0


def test_the_list_says_how_many_mailings_use_each_message(owner):
    used = factories.message(owner, subject="Used")
    factories.message(owner, subject="Idle")
    factories.mailing(owner, message=used)
    assert {row[0].subject: row[1] for row in messages.search(owner).items} == {"Used": 1, "Idle": 0}
    assert [row[0].subject for row in messages.search(owner, words="idl").items] == ["Idle"]
