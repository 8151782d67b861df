import re

import pytest

from mailservice.database import db
from mailservice.models import Mailing
from mailservice.services import audiences
from tests import factories
from tests.factories import post


def mailings_by_title():
    return {m.title: m for m in db.session.query(Mailing)}


def test_many_are_paused_at_once_and_the_list_stays_where_it_was(signed_in, owner):
    ids = [factories.mailing(owner, title=title).id for title in ("A", "B")]
    factories.mailing(owner, title="C")
    answer = post(signed_in, "/mailings/bulk?state=created&sort=title&evil=1", {"act": "pause", "ids": ids})
    assert answer.location == "/mailings?state=created&sort=title"
    assert "2 mailings are paused." in signed_in.get("/mailings").text
    assert {title: bool(m.paused_at) for title, m in mailings_by_title().items()} == {"A": True, "B": True, "C": False}
    post(signed_in, "/mailings/bulk", {"act": "resume", "ids": ids})
    assert not any(m.paused_at for m in mailings_by_title().values())


def test_deleting_many_asks_first_and_says_how_many(signed_in, owner):
    ids = [factories.mailing(owner, title=title).id for title in ("A", "B")]
    page = post(signed_in, "/mailings/bulk", {"act": "delete", "ids": ids})
    assert "Delete 2 mailings?" in page.text
    assert len(mailings_by_title()) == 2
    sent = {"act": "delete", "confirmed": "1", "ids": re.findall(r'name="ids" value="(\d+)"', page.text)}
    page = post(signed_in, "/mailings/bulk", sent, follow_redirects=True)
    assert "2 mailings are deleted." in page.text
    assert mailings_by_title() == {}


@pytest.mark.parametrize("data", [{}, {"act": "pause"}, {"ids": "1"}, {"act": "explode", "ids": "1"}, {"ids": "x"}])
def test_nothing_ticked_is_nothing_done(signed_in, owner, data):
    factories.mailing(owner)
    assert "Tick the mailings first." in post(signed_in, "/mailings/bulk", data, follow_redirects=True).text


def test_mailings_of_others_are_not_touched(signed_in, owner):
    theirs = factories.mailing(factories.user())
    for act in ("pause", "delete"):
        post(signed_in, "/mailings/bulk", {"act": act, "ids": theirs.id, "confirmed": "1"})
    assert mailings_by_title()["Weekly digest"].paused_at is None


def test_a_copy_is_a_draft_of_the_same(signed_in, owner):
    clients = [factories.client(owner) for _ in range(2)]
    mailing = factories.mailing(owner, title="Digest", clients=clients)
    answer = post(signed_in, f"/mailings/{mailing.id}/duplicate")
    copy = mailings_by_title()["Digest (copy)"]
    assert answer.location == f"/mailings/{copy.id}/edit"
    assert (copy.is_draft, copy.next_at, copy.message_id) == (True, None, mailing.message_id)
    assert audiences.as_text(copy) == audiences.as_text(mailing)
