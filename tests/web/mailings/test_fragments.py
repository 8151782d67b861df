import re

import pytest

from mailservice import clock
from mailservice.database import transaction
from mailservice.models import Attempt, AttemptStatus, Batch, Mailing
from tests import factories
from tests.engine import change

WHEN = {
    **{"start_date": "2031-01-31", "start_time": "09:00", "time_zone": "Europe/Moscow"},
    **{"periodicity": "monthly", "end_date": "", "end_time": ""},
}


def sending(mailing: Mailing) -> Attempt:
    with transaction() as session:
        values = {"mailing_id": mailing.id, "owner_id": mailing.owner_id, "occurrence": 0, "due_at": clock.now()}
        row = Attempt(status=AttemptStatus.SENDING, server_reply="250 2.0.0 queued", began_at=clock.now(), **values)
        session.add(row)
        session.flush()
        session.add(Batch(attempt_id=row.id, number=1, size=10, waiting=7, sent=3, holder="somebody"))
    return row


def test_the_next_firings_of_what_stands_in_the_form(signed_in):
    page = signed_in.get("/mailings/firings", query_string=WHEN).text
    assert page.count("<li>") == 5
    assert "28 Feb 2031, 09:00" in page
    assert "the last day: this month has no 31st" in page
    assert "Moscow" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start_date": ""}, "Enter the day"),
        ({"start_time": "nine"}, "Enter the day"),
        ({"periodicity": "never"}, "Enter the day"),
        ({"time_zone": "Moon/Sea"}, "no such time zone"),
        ({"end_date": "2030-01-01"}, "The end must be later"),
        ({"start_date": "9999-12-31"}, "year"),
        ({"start_date": "0001-01-01", "end_date": "0001-01-02"}, "year"),
    ],
)
def test_whatever_is_typed_there_is_an_answer(signed_in, changes, words):
    page = signed_in.get("/mailings/firings", query_string=WHEN | changes)
    assert page.status_code == 200
    assert words in page.text


def test_a_mailing_that_has_fired_begins_nothing_at_once(signed_in, owner):
    mailing = factories.mailing(owner)
    past = WHEN | {"start_date": "2020-01-05"}
    assert "at once" in signed_in.get("/mailings/firings", query_string=past | {"mailing": mailing.id}).text
    sending(mailing)
    assert "at once" not in signed_in.get("/mailings/firings", query_string=past | {"mailing": mailing.id}).text
    theirs = factories.mailing(factories.user())
    assert signed_in.get(f"/mailings/firings?mailing={theirs.id}").status_code == 404


def test_clients_that_match_are_offered_one_by_one_and_together(signed_in, owner):
    for name in ("anna", "hanna", "boris"):
        factories.client(owner, email=f"{name}@example.org")
    factories.client(factories.user(), email="anna@example.com")
    page = signed_in.get("/mailings/clients?find_words=anna").text
    assert page.count('name="ticked"') == 2
    assert "All 2 clients with “anna”" in page
    assert signed_in.get("/mailings/clients").text.strip() == ""
    assert "Nobody found" in signed_in.get("/mailings/clients?find_words=zzz").text


def test_what_runs_is_told_again_only_when_it_has_changed(signed_in, owner):
    mailing = factories.mailing(owner)
    attempt = sending(mailing)
    first = signed_in.get(f"/mailings/{mailing.id}/live")
    assert "Being sent" in first.text
    assert "3 of 10" in first.text
    assert "250 2.0.0 queued" in first.text
    assert "csrf" not in first.text
    again = signed_in.get(f"/mailings/{mailing.id}/live", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    change(attempt, server_reply="451 4.7.1 later")
    other = signed_in.get(f"/mailings/{mailing.id}/live", headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200
    assert other.headers["ETag"] != first.headers["ETag"]


def test_the_fragment_says_when_there_is_nothing_to_wait_for(signed_in, owner):
    mailing = factories.mailing(owner)
    attempt = sending(mailing)
    assert "data-over" not in signed_in.get(f"/mailings/{mailing.id}/live").text
    change(attempt, status=AttemptStatus.DONE, sent=10)
    page = signed_in.get(f"/mailings/{mailing.id}/live").text
    assert "data-over" in page
    assert "10 sent" in page


def test_the_buttons_of_the_fragment_have_their_form_on_the_page(signed_in, owner):
    mailing = factories.mailing(owner)
    sending(mailing)
    page = signed_in.get(f"/mailings/{mailing.id}").text
    forms = set(re.findall(r'<button[^>]* form="([^"]+)"', page))
    assert forms == {"acts", "acts-asked"}
    assert forms <= set(re.findall(r'<form id="([^"]+)"', page))


def test_somebody_elses_mailing_is_not_watched(signed_in):
    assert signed_in.get(f"/mailings/{factories.mailing(factories.user()).id}/live").status_code == 404
