"""What a received letter says about leaving, and that it works: RFC 2369, RFC 8058."""

from email import message_from_bytes
from email.policy import default
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from mailservice.database import db
from mailservice.models import MessageKind, Suppression
from tests import factories
from tests.engine import due_mailing, run_senders

BODIES = {
    "the link at the end": (MessageKind.MARKDOWN, "Good day, {{ first_name }}!"),
    "the link where the message has it": (MessageKind.MARKDOWN, "Good day! [Leave]({{ unsubscribe_url }}) or stay."),
    "a message beyond ASCII": (MessageKind.MARKDOWN, "Добрый день, {{ full_name }}! " * 30),
    "HTML without the link": (MessageKind.HTML, "<h1>Good day, {{ first_name }}!</h1>"),
    "HTML with the link": (MessageKind.HTML, '<p>Good day! <a href="{{ unsubscribe_url }}">Leave</a></p>'),
    "plain text": (MessageKind.PLAIN, "Good day, {{ first_name }}!"),
}


@pytest.fixture(params=BODIES.values(), ids=BODIES.keys())
def letter(request, app, mail_server):
    """As it was received over SMTP, by the standard library's parser."""
    owner = factories.user(full_name="Shop")
    kind, body = request.param
    message = factories.message(owner, subject="Новости", kind=kind, body=body)
    due_mailing(owner, ["boris+shop@example.org"], message=message)
    run_senders()
    (taken,) = mail_server.accepted
    return message_from_bytes(taken.content, policy=default)


def link_of(letter):
    header = letter["List-Unsubscribe"]
    assert header.startswith("<http")
    assert header.endswith(">")
    return header[1:-1]


def test_every_letter_carries_the_link_and_the_headers_of_one_click(letter, settings, browser):
    assert letter.get_all("List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
    assert len(letter.get_all("List-Unsubscribe")) == 1
    assert letter["List-Id"].endswith("example.org>")
    url = link_of(letter)
    assert url.startswith(settings.public_url + "/u/")
    text, page = (letter.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert url in text
    assert f'href="{url}"' in page
    path = urlsplit(url).path
    for _ in range(2):
        assert browser.get(path).status_code == browser.head(path).status_code == 200
    assert db.session.scalars(select(Suppression)).all() == []
    answer = browser.post(path, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert db.session.scalars(select(Suppression.email_normalised)).all() == ["boris+shop@example.org"]


def test_the_link_is_this_clients_and_this_owners_alone(app, mail_server, browser):
    for name in ("anna", "boris"):
        due_mailing(factories.user(), [f"{name}@example.org"])
    run_senders()
    links = {t.recipient: link_of(message_from_bytes(t.content, policy=default)) for t in mail_server.accepted}
    browser.post(urlsplit(links["boris@example.org"]).path)
    assert db.session.scalars(select(Suppression.email_normalised)).all() == ["boris@example.org"]
