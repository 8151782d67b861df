import re
from datetime import timedelta

import pytest
from sqlalchemy import insert

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, Mailing, Role, Suppression, SuppressionReason, mailing_clients
from tests import factories
from tests.engine import change, run_senders
from tests.factories import post


@pytest.fixture
def owner(app):
    return factories.user(email="owner@example.org", time_zone="UTC")


@pytest.fixture
def draft(owner):
    clients = [factories.client(owner, email=f"{name}@example.org") for name in ("anna", "boris")]
    message = factories.message(owner, subject="Spring sale")
    return factories.mailing(owner, message=message, clients=clients, is_draft=True, next_at=None)


def fresh(mailing):
    db.session.rollback()
    return db.session.get_one(Mailing, mailing.id)


def test_the_page_before_it_goes_says_what_goes_to_whom(signed_in, owner, draft):
    with transaction() as session:
        values = {"owner_id": owner.id, "email_normalised": "anna@example.org"}
        session.add(Suppression(reason=SuppressionReason.UNSUBSCRIBED, **values))
    change(draft, doubled=2, unknown=1)
    page = signed_in.get(f"/mailings/{draft.id}/start").text
    for words in (
        *("Spring sale", "mailservice@example.org", "owner@example.org", "client will get this letter"),
        *("1 on the stop list", "2 addresses pasted twice", "1 pasted address that is wrong"),
        *("every day", "not known yet", "/preview"),
    ):
        assert words in page
    assert "Send a test" in page


def test_starting_and_undoing_by_the_buttons(signed_in, draft):
    page = post(signed_in, f"/mailings/{draft.id}/start", follow_redirects=True)
    assert f"/mailings/{draft.id}/undo" in page.text
    assert fresh(draft).next_at
    page = post(signed_in, f"/mailings/{draft.id}/undo", follow_redirects=True)
    assert "nothing was sent" in page.text
    assert fresh(draft).is_draft
    page = post(signed_in, f"/mailings/{draft.id}/undo", follow_redirects=True)
    assert "too late" in page.text


def test_started_twice_it_is_started_once(signed_in, draft):
    post(signed_in, f"/mailings/{draft.id}/start")
    not_before = fresh(draft).not_before
    assert "started already" in post(signed_in, f"/mailings/{draft.id}/start", follow_redirects=True).text
    assert fresh(draft).not_before == not_before
    assert signed_in.get(f"/mailings/{draft.id}/start").location == f"/mailings/{draft.id}"


def test_a_draft_without_clients_says_why_it_cannot_go(signed_in, owner):
    empty = factories.mailing(owner, clients=[], is_draft=True, next_at=None)
    page = signed_in.get(f"/mailings/{empty.id}/start").text
    assert "Nobody would get this mailing" in page
    assert "disabled>Start the mailing" in page


def test_sending_now_asks_first_and_can_be_undone(signed_in, owner):
    mailing = factories.mailing(owner)
    before = fresh(mailing).next_at
    page = signed_in.get(f"/mailings/{mailing.id}/send-now").text
    assert "outside the schedule" in page
    assert fresh(mailing).next_at == before
    post(signed_in, f"/mailings/{mailing.id}/send-now")
    assert fresh(mailing).next_at < before
    post(signed_in, f"/mailings/{mailing.id}/undo")
    assert fresh(mailing).next_at == before


def test_sending_now_says_why_it_cannot(signed_in, owner):
    mailing = factories.mailing(owner, paused_at=clock.now())
    assert "Resume it first" in signed_in.get(f"/mailings/{mailing.id}/send-now").text
    assert "Resume it first" in post(signed_in, f"/mailings/{mailing.id}/send-now", follow_redirects=True).text
    assert fresh(mailing).not_before is None


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ADMIN])
def test_managers_neither_start_nor_send_what_is_not_theirs(browser, owner, draft, role):
    factories.sign_in(browser, factories.user(role=role))
    mailing = factories.mailing(owner)
    for path in (f"{draft.id}/start", f"{mailing.id}/send-now", f"{mailing.id}/undo"):
        assert post(browser, f"/mailings/{path}").status_code == 404
    assert fresh(draft).is_draft
    assert fresh(mailing).not_before is None
    assert db.session.query(Attempt).count() == 0


def test_a_change_that_makes_it_due_says_that_it_can_be_undone(signed_in, owner):
    mailing = factories.mailing(owner)
    start = clock.now() - timedelta(days=1)
    fields = {
        **{"title": "Digest", "message_id": mailing.message_id, "time_zone": "UTC", "periodicity": "once"},
        **{"start_date": start.strftime("%Y-%m-%d"), "start_time": "09:00", "audience": "keep"},
    }
    page = post(signed_in, f"/mailings/{mailing.id}/edit", fields, follow_redirects=True)
    assert "begins in half a minute" in page.text
    assert f"/mailings/{mailing.id}/undo" in page.text


def shown(browser, path):
    """What the page before it goes carries back."""
    return {"stamp": re.search(r'name="stamp" value="([^"]+)"', browser.get(path).text)[1]}


def test_the_same_page_sends_once(signed_in, owner, mail_server):
    """Its answer was lost; some minutes later, when all is sent, the browser asks the same again."""
    mailing = factories.mailing(owner, clients=[factories.client(owner)], periodicity="once", next_at=None)
    path = f"/mailings/{mailing.id}/send-now"
    data = shown(signed_in, path)
    for answer in (f"/mailings/{mailing.id}", path):
        assert post(signed_in, path, data).location == answer
        change(mailing, not_before=clock.now() - timedelta(seconds=1))  # the half minute is over
        run_senders()
    assert len(mail_server.accepted) == 1
    assert post(signed_in, path, shown(signed_in, path)).location == f"/mailings/{mailing.id}"  # by the page that knows


def test_what_was_not_shown_is_not_started(signed_in, owner, draft):
    path = f"/mailings/{draft.id}/start"
    acts = [
        lambda: change(draft.message, subject="Another"),
        lambda: change(draft, title="Another"),
        lambda: add_client(draft, factories.client(owner)),
    ]
    for act in acts:
        data = shown(signed_in, path)
        act()
        page = post(signed_in, path, data, follow_redirects=True)
        assert "Something has changed" in page.text
        assert "Before it goes" in page.text
        assert fresh(draft).is_draft
    post(signed_in, path, shown(signed_in, path))
    assert not fresh(draft).is_draft


def add_client(mailing, client):
    with transaction() as session:
        row = {"mailing_id": mailing.id, "client_id": client.id, "owner_id": mailing.owner_id}
        session.execute(insert(mailing_clients).values(row))
