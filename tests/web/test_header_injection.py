"""Two hundred texts that try to add a header or a recipient, through every field that reaches a letter.

Each is refused beside its field, or is a harmless text: then real letters go to a real server, and are looked at.
"""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from itertools import product

import pytest
from sqlalchemy import select

from mailservice import account_mail, clock
from mailservice.database import db, transaction
from mailservice.extensions import limiter
from mailservice.models import Client, Message, Role, User
from mailservice.services.account_letters import AccountLetter
from tests import factories
from tests.engine import run_senders
from tests.factories import PASSWORD, post

BREAKS = [
    *(
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "\n\n",
        "\r\n ",
        "\r\n\t",
        "\n\r",
        "\v",
        "\f",
        "\x1c",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *("\x00\r\n", "\x00", "%0d%0a", "%0A", "\\r\\n", "&#13;&#10;", "=0D=0A", "\u560a\u560d"),
    *("=?utf-8?q?x=0D=0A", "=?utf-8?b?eA0K?= ", ", "),
]
LINES = [
    *("Bcc: victim@evil.example", "To: victim@evil.example", "Cc: <victim@evil.example>", "Subject: another"),
    *("Reply-To: victim@evil.example", "Content-Type: text/html", "victim@evil.example", "\r\n<b>a body</b>"),
]
ATTACKS = [left + right for left, right in product(BREAKS, LINES)]
PARTS = 4  # of each test, so that none lasts long
OF_MAILINGS = [
    *(
        "From",
        "Reply-To",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Id",
    ),
    *("MIME-Version", "Content-Type"),
]
OF_ACCOUNTS = ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
TAKEN, REFUSED = {200, 302}, {413, 422}

pytestmark = pytest.mark.slow
in_parts = pytest.mark.parametrize("attacks", [ATTACKS[part::PARTS] for part in range(PARTS)], ids=range(PARTS))
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def patient(app, monkeypatch):
    """Nobody counts the tries."""
    monkeypatch.setattr(limiter, "enabled", False)


def was_taken(answer):
    assert answer.status_code in TAKEN | REFUSED
    return answer.status_code in TAKEN


def look_at(taken, expected):
    """One letter to one recipient, with the headers that it should have and no other."""
    letter = message_from_bytes(taken.content, policy=default)
    assert sorted(letter.keys()) == sorted(expected)
    assert [a.addr_spec for a in letter["To"].addresses] == [taken.recipient]
    assert not taken.recipient.endswith("evil.example")
    assert "evil.example" not in str(letter.get("Reply-To", "")).rpartition("<")[2]
    assert letter.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in letter.iter_parts()] == ["text/plain", "text/html"]
    assert not letter.defects


def test_the_corpus_has_two_hundred_texts():
    assert len(set(ATTACKS)) == 200


def put(browser, url, plain, *attacks):
    """Sends the form with each of `attacks` in place of plain values, until one is taken; else the plain one."""
    assert any(was_taken(post(browser, url, plain | values)) for values in (*attacks, {}))


@in_parts
@on_sqlite
def test_no_client_message_or_sender_breaks_out_of_a_mailings_letter(app, browser, mail_server, attacks):
    plain = {"email": "boris@example.org", "full_name": "Boris", "comment": "a comment"}
    for attack in attacks:
        owner = factories.user()
        factories.sign_in(browser, owner)
        put(browser, "/account", {"language": "en", "time_zone": "UTC"}, {"full_name": "Anna" + attack})
        addresses = [{"email": plain["email"] + attack}, {"email": attack + plain["email"]}]
        texts = [{"full_name": "Boris" + attack}, {"comment": attack}]
        put(browser, "/clients/new", plain, *addresses, texts[0] | texts[1], *texts)
        news = {"subject": "{{ full_name }} {{ comment }}", "body": "Good day"}
        put(browser, "/messages/new", news, {"subject": f"{attack} {news['subject']}"}, {"body": attack})
        message = db.session.scalars(select(Message).where(Message.owner_id == owner.id)).one()
        client = db.session.scalars(select(Client).where(Client.owner_id == owner.id)).one()
        due = clock.now()
        factories.mailing(owner, message=message, clients=[client], next_at=due, next_occurrence=0)
    run_senders()
    assert [taken.recipient for taken in mail_server.accepted] == ["boris@example.org"] * len(attacks)
    for taken in mail_server.accepted:
        look_at(taken, OF_MAILINGS)


@in_parts
@on_sqlite
def test_no_address_or_name_of_a_user_breaks_out_of_an_accounts_letter(app, browser, mail_server, attacks):
    for number, attack in enumerate(attacks):
        email = f"user{number}@example.org"
        texts = [{"email": email + attack}, {"email": attack + email}, {"full_name": "Anna" + attack}]
        put(browser, "/register", {"email": email, "password": PASSWORD}, *texts)
    everyone = list(db.session.scalars(select(User)))
    assert len(everyone) == len(attacks)
    for number, user in enumerate(everyone):
        for kind in (AccountLetter.CONFIRM, AccountLetter.EXISTS, AccountLetter.RESET)[: 1 if number % 20 else 3]:
            account_mail.deliver(kind, user.id)
    assert {taken.recipient for taken in mail_server.accepted} == {f"user{n}@example.org" for n in range(len(attacks))}
    for taken in mail_server.accepted:
        look_at(taken, OF_ACCOUNTS)


@in_parts
@on_sqlite
def test_no_new_address_and_no_reason_breaks_out_of_an_accounts_letter(app, browser, mail_server, attacks):
    owner = factories.user()
    mailing = factories.mailing(owner)
    factories.sign_in(browser, owner)
    manager = factories.sign_in(app.test_client(), factories.user(role=Role.MANAGER))
    for number, attack in enumerate(attacks):
        new = {"email": f"new{number}@example.org" + attack, "current_password": PASSWORD}
        assert not was_taken(post(browser, "/account/address", new))
        with transaction():
            mailing.title, mailing.disabled_at = "News" + attack, None  # as if it stood in the database already
        if was_taken(post(manager, f"/manager/mailings/{mailing.id}/disable", {"reason": "Spam" + attack})):
            account_mail.deliver(AccountLetter.DISABLED, owner.id, mailing.id)
    post(browser, "/account/address", {"email": "new@example.org", "current_password": PASSWORD})
    for kind in (AccountLetter.ADDRESS, AccountLetter.MOVING):
        account_mail.deliver(kind, owner.id)
    assert {taken.recipient for taken in mail_server.accepted} == {owner.email, "new@example.org"}
    for taken in mail_server.accepted:
        look_at(taken, OF_ACCOUNTS)
