import pytest
from sqlalchemy import func, select

from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Message, MessageKind
from mailservice.sending import content
from mailservice.services import messages
from tests import factories


@pytest.fixture
def owner(app):
    return factories.user()


def create(owner, subject="News", body="Good day", **values):
    with transaction():
        return messages.create(owner, subject=subject, body=body, **values)


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
        ("body", "News", "a" * 20_001),
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


@pytest.mark.parametrize("kind", MessageKind)
def test_a_message_is_of_one_kind_and_each_has_its_longest(owner, kind):
    longest = content.LONGEST[kind]
    assert create(owner, body="a" * longest, kind=kind, preheader="For {{ email }}").kind is kind
    with pytest.raises(Invalid, match="too long"):
        create(owner, body="a" * (longest + 1), kind=kind)


def test_all_that_is_wrong_is_found_at_once(owner):
    found = messages.problems(subject="{{ x }}", preheader="\x00", body="{{ y", kind=MessageKind.MARKDOWN)
    assert sorted(problem.field for problem in found) == ["body", "preheader", "subject"]
    assert messages.problems(subject="", body="", kind=MessageKind.HTML, unfinished=True) == []


def test_a_copy_is_a_message_of_its_own(owner):
    first = create(owner, "News {{ email }}", "<p>x</p>", kind=MessageKind.HTML, preheader="Look")
    with transaction():
        copy = messages.duplicate(messages.own(owner, first.id))
    assert (copy.subject, copy.body, copy.kind, copy.preheader) == (
        "News {{ email }} (copy)",
        "<p>x</p>",
        MessageKind.HTML,
        "Look",
    )
    longest = create(owner, "n" * 250)
    with transaction():
        assert messages.duplicate(messages.own(owner, longest.id)).subject == "n" * 250


def test_the_first_mailings_of_each_message_are_named(owner):
    used, other = factories.message(owner), factories.message(owner)
    for number in range(4):
        factories.mailing(owner, message=used, title=f"Digest {number}")
    found = messages.used_in([used, other])
    assert [title for _, title in found[used.id]] == ["Digest 0", "Digest 1", "Digest 2"]
    assert other.id not in found
    assert messages.used_in([]) == {}
