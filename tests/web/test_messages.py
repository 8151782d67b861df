import pytest
from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Message
from tests import factories
from tests.factories import post


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def signed_in(browser, owner):
    return factories.sign_in(browser, owner)


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
    assert "<script>" not in preview.text
    assert f"<strong>{owner.email}</strong>" in preview.text


def test_a_used_message_is_not_deleted_and_says_why(signed_in, owner):
    message = factories.message(owner)
    factories.mailing(owner, message=message, title="Weekly digest")
    page = post(signed_in, f"/messages/{message.id}/delete", follow_redirects=True)
    assert "cannot be deleted" in page.text
    assert len(all_messages()) == 1
    assert "Weekly digest" in signed_in.get(f"/messages/{message.id}").text


@pytest.mark.parametrize("path", ["", "/edit", "/preview", "/delete"])
def test_somebody_elses_message_is_not_there(signed_in, path):
    theirs = factories.message(factories.user())
    for message_id in (theirs.id, 0, 2**63, 10**30):
        url = f"/messages/{message_id}{path}"
        answer = post(signed_in, url) if path == "/delete" else signed_in.get(url)
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
