from email import message_from_bytes, policy

import pytest
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.models import Delivery, Event, Message, MessageKind
from tests import factories, queries
from tests.factories import post


def all_messages():
    return db.session.scalars(select(Message)).all()


def test_an_empty_list_names_the_next_step(signed_in):
    page = signed_in.get("/messages")
    assert 'href="/messages/new"' in page.text
    assert "No messages yet" in page.text


def test_a_message_is_written_changed_and_deleted(signed_in):
    page = post(signed_in, "/messages/new", {"subject": "News", "body": "Hi {{ first_name }}"}, follow_redirects=True)
    assert "News" in page.text
    (message,) = all_messages()
    post(signed_in, f"/messages/{message.id}/edit", {"subject": "Olds", "body": "Bye"})
    assert all_messages()[0].subject == "Olds"
    post(signed_in, f"/messages/{message.id}/delete")
    assert all_messages() == []


def test_a_wrong_field_is_named_beside_the_text_which_is_kept(signed_in):
    page = post(signed_in, "/messages/new", {"subject": "News", "body": "Hi {{ password }} <b>"})
    assert page.status_code == 422
    assert "There is no field" in page.text
    assert "Hi {{ password }} &lt;b&gt;" in page.text
    assert all_messages() == []


def test_ten_megabytes_are_refused_with_a_clear_page(signed_in):
    assert post(signed_in, "/messages/new", {"subject": "News", "body": "a" * 10_000_000}).status_code == 413
    page = post(signed_in, "/messages/new", {"subject": "News", "body": "a" * 1_000_000})
    assert page.status_code == 422
    assert "too long" in page.text
    assert all_messages() == []


@pytest.mark.parametrize("subject", ["a\x00b", "=?utf-8?q?x?=", "a\u2028b", "a\nb"])
def test_a_subject_that_could_break_a_header_is_refused(signed_in, subject):
    assert post(signed_in, "/messages/new", {"subject": subject, "body": "text"}).status_code == 422
    assert all_messages() == []


def test_the_preview_is_filled_framed_by_us_alone_and_runs_nothing(signed_in, owner):
    message = factories.message(owner, subject="For {{ first_name }}", body="<script>alert(1)</script> **{{ email }}**")
    page = signed_in.get(f"/messages/{message.id}")
    assert "For Anna" in page.text
    assert "<iframe" in page.text
    assert "sandbox" in page.text
    preview = signed_in.get(f"/messages/{message.id}/preview")
    policy = preview.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "<script>" not in preview.text
    assert f"<strong>{owner.email}</strong>" in preview.text


def test_a_used_message_is_not_deleted_and_says_why(signed_in, owner):
    message = factories.message(owner)
    factories.mailing(owner, message=message, title="Weekly digest")
    page = post(signed_in, f"/messages/{message.id}/delete", follow_redirects=True)
    assert "cannot be deleted" in page.text
    assert len(all_messages()) == 1
    assert "Weekly digest" in signed_in.get(f"/messages/{message.id}").text


@pytest.mark.parametrize("path", ["", "/edit", "/preview", "/delete", "/duplicate", "/test"])
def test_somebody_elses_message_is_not_there(signed_in, path):
    theirs = factories.message(factories.user())
    for message_id in (theirs.id, 0, 2**63, 10**30):
        url = f"/messages/{message_id}{path}"
        answer = post(signed_in, url) if path in ("/delete", "/duplicate", "/test") else signed_in.get(url)
        assert answer.status_code == 404
    assert post(signed_in, f"/messages/{theirs.id}/edit", {"subject": "Mine", "body": "x"}).status_code == 404
    assert all_messages()[0].subject != "Mine"


def test_a_list_takes_any_page_and_search(signed_in, owner):
    factories.message(owner)
    for query in ("page=-1", "page=abc", "page=99999999999999999999", "q=%00", "q=%25_", "size=7"):
        assert signed_in.get(f"/messages?{query}").status_code == 200


def test_all_that_is_wrong_is_said_at_once(signed_in):
    page = post(signed_in, "/messages/new", {"subject": "{{ nonsense }}", "body": "{{ broken"})
    assert page.status_code == 422
    assert 'id="subject-error"' in page.text
    assert 'id="body-error"' in page.text


DRAFT = {
    "kind": "html",
    "subject": "For {{ first_name }}",
    "preheader": "Look",
    "body": "<b>Hi</b> {{ full_name }} <script>x",
}


def test_a_draft_is_looked_at_and_nothing_is_saved(signed_in):
    parts = post(signed_in, "/messages/draft", DRAFT)
    assert parts.status_code == 200
    assert "For Anna" in parts.text
    assert "Left out, since mail programs do not show it: &lt;script&gt;" in parts.text
    page = post(signed_in, "/messages/draft/preview", DRAFT)
    assert "<b>Hi</b> Anna Petrova" in page.text
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert all_messages() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": "{{ nobody }}"},
        {"body": "a\x00b"},
        {"kind": "nonsense", "body": "{{"},
        {"subject": "=?utf-8?q?x?="},
        {"body": "<div>" * 200},
        {"body": "x" * 300_000},
        {"as": "client", "who": "\x00%", "body": "{{ x }}"},
    ],
)
def test_a_draft_that_is_no_letter_yet_says_why(signed_in, wrong):
    parts = post(signed_in, "/messages/draft", DRAFT | wrong)
    assert parts.status_code == 200
    assert 'class="weighs"' in parts.text
    page = post(signed_in, "/messages/draft/preview", DRAFT | wrong)
    assert (page.status_code, "it is shown here" in page.text) == (200, True)


def test_a_message_is_looked_at_as_any_client_of_ones_own(signed_in, owner):
    factories.client(owner, email="boris@example.org", full_name="Boris Ivanov")
    factories.client(factories.user(), email="theirs@example.org", full_name="Theirs")
    message = factories.message(owner, subject="For {{ first_name | nobody }}")
    url = f"/messages/{message.id}"
    assert "For Boris" in signed_in.get(f"{url}?as=client&who=boris").text
    assert "For nobody" in signed_in.get(f"{url}?as=emptiest").text
    missing = signed_in.get(f"{url}?as=client&who=theirs@example.org").text
    assert "For Anna" in missing
    assert "No client matches" in missing
    assert "as=client&amp;who=boris" in signed_in.get(f"{url}?as=client&who=boris").text
    offered = signed_in.get("/messages/readers?who=example").text
    assert 'value="boris@example.org"' in offered
    assert "theirs" not in offered


def test_without_a_script_a_button_checks_what_is_written(signed_in):
    data = {"kind": "markdown", "subject": "News", "body": "Hello, {{ first_name }}!", "check": "1"}
    page = post(signed_in, "/messages/new", data)
    assert "“Hello, !”" in page.text
    assert "Hello, {{ first_name }}!" in page.text
    assert "data-unsaved" in page.text
    assert all_messages() == []


def test_a_message_keeps_its_kind_and_its_page_gives_advice(signed_in):
    data = {"kind": "html", "subject": "News", "preheader": "Look", "body": "<p>Hello, {{ first_name }}!</p>"}
    page = post(signed_in, "/messages/new", data, follow_redirects=True)
    assert "“Hello, !”" in page.text
    (message,) = all_messages()
    assert (message.kind, message.preheader) == (MessageKind.HTML, "Look")
    form = signed_in.get(f"/messages/{message.id}/edit").text
    assert 'value="html" checked' in form or 'checked class="visually-hidden" id="kind-1"' in form
    post(signed_in, f"/messages/{message.id}/edit", data | {"kind": "plain"})
    assert all_messages()[0].kind is MessageKind.PLAIN


def test_a_copy_is_opened_for_changing(signed_in, owner):
    message = factories.message(owner, subject="News")
    answer = post(signed_in, f"/messages/{message.id}/duplicate")
    assert answer.location.endswith("/edit")
    assert sorted(m.subject for m in all_messages()) == ["News", "News (copy)"]


def test_a_test_letter_arrives_and_the_servers_answer_is_shown(signed_in, owner, mail_server):
    message = factories.message(owner, subject="For {{ first_name | nobody }}")
    data = {"email": "me@example.org", "as": "emptiest"}
    page = post(signed_in, f"/messages/{message.id}/test", data, follow_redirects=True)
    assert "The mail server: 250" in page.text
    (letter,) = mail_server.accepted
    read = message_from_bytes(letter.content, policy=policy.default)
    assert read["Subject"] == "[Test] For nobody"
    assert read["To"].addresses[0].addr_spec == "me@example.org"
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 0
    event = db.session.scalars(select(Event)).one()
    assert (event.action, event.subject_id) == ("test_sent", message.id)


def test_what_the_server_says_against_a_test_letter_is_shown_beside_the_form(signed_in, owner, mail_server):
    mail_server.on_rcpt("me@example.org", "550 5.1.1 nobody of that name")
    message = factories.message(owner)
    page = post(signed_in, f"/messages/{message.id}/test", {"email": "me@example.org"})
    assert page.status_code == 422
    assert "550 5.1.1 nobody of that name" in page.text
    assert 'value="me@example.org"' in page.text
    assert db.session.scalars(select(Event)).all() == []


def test_a_mail_server_that_is_away_is_no_fault_of_the_page(signed_in, owner):
    page = post(signed_in, f"/messages/{factories.message(owner).id}/test", {"email": "me@example.org"})
    assert page.status_code == 422
    assert "The test letter was not sent" in page.text


def test_who_is_not_confirmed_sends_no_tests(browser, mail_server):
    owner = factories.user(confirmed=False)
    message = factories.message(owner)
    page = post(factories.sign_in(browser, owner), f"/messages/{message.id}/test", {"email": "me@example.org"})
    assert page.status_code == 422
    assert "Confirm your own address first" in page.text
    assert mail_server.accepted == []


def test_test_letters_are_counted(signed_in, owner):
    url = f"/messages/{factories.message(owner).id}/test"
    answers = [post(signed_in, url, {"email": "no address"}).status_code for _ in range(21)]
    assert answers == [422] * 20 + [429]


def test_the_list_names_the_mailings_with_the_same_few_questions(signed_in, owner):
    for number in range(3):
        factories.mailing(owner, message=factories.message(owner, subject=f"News {number}"), title=f"Digest {number}")
    with queries.counted() as few:
        page = signed_in.get("/messages").text
    assert all(f"Digest {number}" in page for number in range(3))
    for number in range(3, 9):
        factories.mailing(owner, message=factories.message(owner), title=f"Digest {number}")
    with queries.counted() as many:
        signed_in.get("/messages")
    assert len(many) == len(few)
