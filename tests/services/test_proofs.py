from email import message_from_bytes, policy

import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.errors import Invalid, Refused
from mailservice.models import Event, MessageKind, Suppression, SuppressionReason
from mailservice.sending import unsubscribe_token
from mailservice.services import proofs
from mailservice.services.readers import Reader
from tests import factories

READER = Reader("Boris Ivanov", "boris@example.org", "regular")


def build(owner, message, to="me@example.org"):
    sender, public_url = "Shop <news@shop.example>", "https://mail.example.org"
    return proofs.build(owner, message, to=to, reader=READER, sender=sender, public_url=public_url)


def test_a_test_letter_greets_its_reader_and_is_marked(app):
    owner = factories.user()
    message = factories.message(owner, subject="For {{ first_name }}", body="{{ comment }} <b>", kind=MessageKind.PLAIN)
    letter = build(owner, message)
    assert letter.recipient == "me@example.org"
    read = message_from_bytes(letter.content, policy=policy.default)
    assert read["Subject"] == "[Test] For Boris"
    assert read["X-Mailservice-Test"] == "yes"
    assert read["To"].addresses[0].addr_spec == "me@example.org"
    assert read.get_body(("plain",)).get_content().startswith("regular <b>")


def test_its_link_unsubscribes_nobody(app):
    owner = factories.user()
    letter = build(owner, factories.message(owner))
    url = message_from_bytes(letter.content, policy=policy.default)["List-Unsubscribe"]
    token = url.strip("<>").rpartition("/")[2]
    assert unsubscribe_token.read(unsubscribe_token.key(app.config["SECRET_KEY"]), token) is None


def test_nothing_goes_out_before_ones_own_address_is_confirmed(app):
    owner = factories.user(confirmed=False)
    with pytest.raises(Refused, match="Confirm your own address"):
        build(owner, factories.message(owner))


@pytest.mark.parametrize("to", ["", "nobody", "a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example"])
def test_it_goes_to_one_address(app, to):
    owner = factories.user()
    with pytest.raises(Invalid) as error:
        build(owner, factories.message(owner), to=to)
    assert error.value.field == "email"


def test_who_is_on_the_stop_list_gets_no_tests_either(app):
    owner = factories.user()
    with transaction() as session:
        reason = SuppressionReason.UNSUBSCRIBED
        session.add(Suppression(owner_id=owner.id, email_normalised="me@example.org", reason=reason))
    with pytest.raises(Invalid, match="stop list"):
        build(owner, factories.message(owner), to="Me@example.org")


def test_the_log_names_the_message_and_half_of_the_address(app):
    owner = factories.user()
    message = factories.message(owner)
    with transaction():
        proofs.note(owner, message, to="me@example.org", address="192.0.2.1")
    event = db.session.scalars(select(Event)).one()
    assert (event.action, event.subject_id, event.detail) == ("test_sent", message.id, {"to": "m***@example.org"})
