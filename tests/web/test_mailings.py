import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, AttemptStatus, Batch, Mailing
from mailservice.services import audiences
from tests import factories
from tests.factories import post

TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def fields(owner):
    """What a person types for a daily mailing to all of three clients."""
    for name in ("anna", "boris", "clara"):
        factories.client(owner, email=f"{name}@example.org", full_name=name.title())
    return {
        "title": "Weekly digest",
        "message_id": factories.message(owner).id,
        "start_date": TOMORROW.strftime("%Y-%m-%d"),
        "start_time": "09:00",
        "time_zone": "Europe/Moscow",
        "periodicity": "weekly",
        "end_date": "",
        "end_time": "",
        "audience": "all",
        "pasted": "",
        "find_words": "",
        "sought": "",
    }


def all_mailings():
    return db.session.scalars(select(Mailing).order_by(Mailing.id)).all()


def open_attempt(mailing, **counts):
    counts = {"waiting": 0, "sent": 0, "failed": 0} | counts
    with transaction() as session:
        row = Attempt(
            mailing_id=mailing.id,
            owner_id=mailing.owner_id,
            occurrence=0,
            due_at=clock.now(),
            status=AttemptStatus.SENDING,
        )
        session.add(row)
        session.flush()
        session.add(Batch(attempt_id=row.id, number=0, size=sum(counts.values()), **counts))
    return row


def test_an_empty_list_names_the_next_step(signed_in):
    page = signed_in.get("/mailings")
    assert "No mailings yet" in page.text
    assert 'href="/mailings/new"' in page.text


def test_a_mailing_to_all_clients_is_a_draft_until_it_is_started(signed_in, fields, redis):
    page = post(signed_in, "/mailings/new", fields, follow_redirects=True)
    assert "Before it goes" in page.text
    (mailing,) = all_mailings()
    assert (mailing.is_draft, mailing.next_at) == (True, None)
    assert audiences.count(mailing) == 3
    assert redis.llen("rq:queue:ticks") == 0
    page = post(signed_in, f"/mailings/{mailing.id}/start", follow_redirects=True)
    assert "Undo" in page.text
    assert all_mailings()[0].next_at is not None
    assert redis.llen("rq:queue:ticks") == 1


def test_chosen_clients_are_pasted_and_ticked(signed_in, fields, owner):
    ticked = audiences.find(owner, "clara")[0].id
    chosen = {"audience": "chosen", "pasted": "ANNA@example.org", "ticked": [ticked]}
    assert post(signed_in, "/mailings/new", fields | chosen).status_code == 302
    assert audiences.as_text(all_mailings()[0]) == "anna@example.org\nclara@example.org"


def test_finding_clients_saves_nothing_and_loses_nothing(signed_in, fields, owner):
    ticked = audiences.find(owner, "clara")[0].id
    sent = {"pasted": "anna@example.org", "ticked": [ticked], "find_words": "bor", "find": "1"}
    page = post(signed_in, "/mailings/new", fields | sent)
    assert all_mailings() == []
    assert 'value="Weekly digest"' in page.text
    assert "anna@example.org\nclara@example.org</textarea>" in page.text.replace("\r\n", "\n")
    assert "boris@example.org <span" in page.text
    assert re.search('<input checked [^>]*value="chosen"', page.text)
    assert post(signed_in, "/mailings/new", fields | {"find_words": "bor", "enter": "1"}).status_code == 200
    assert all_mailings() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"end_date": "2000-01-01"}, "must be later"),
        ({"start_date": "2020-01-01", "end_date": "2020-02-01"}, "already passed"),
        ({"end_time": "10:00"}, "date too"),
        ({"time_zone": "Mars/Olympus"}, "no such time zone"),
        ({"time_zone": "a\x00"}, "no such time zone"),
        ({"start_date": "9999-12-31"}, "year must be"),
        ({"start_date": "1999-12-31"}, "year must be"),
        ({"end_date": "9999-12-31"}, "year must be"),
        ({"start_date": "soon"}, "Not a valid date"),
        ({"start_time": "25:99"}, "Not a valid time"),
        ({"periodicity": "hourly"}, "Not a valid choice"),
        ({"audience": "keep"}, "Not a valid choice"),
        ({"audience": ""}, "Not a valid choice"),
        ({"message_id": "0"}, "Choose the message"),
        ({"message_id": "abc"}, "Invalid Choice"),
        ({"message_id": str(10**30)}, "Not a valid choice"),
        ({"title": ""}, "cannot be empty"),
        ({"title": "a\x00b"}, "control characters"),
        ({"title": "=?utf-8?q?x?="}, "not possible here"),
        ({"title": "a" * 201}, "too long"),
        ({"audience": "chosen"}, "at least one client"),
        ({"audience": "chosen", "pasted": "nobody@example.org"}, "nobody@example.org"),
        ({"audience": "chosen", "ticked": ["999999"]}, "no longer there"),
        ({"audience": "chosen", "ticked": [str(10**30)]}, "no longer there"),
        ({"audience": "chosen", "ticked": ["abc"]}, "Invalid"),
    ],
)
def test_a_wrong_field_gets_a_message_and_what_was_typed_is_kept(signed_in, fields, changes, message):
    page = post(signed_in, "/mailings/new", {"title": "Kept title"} | fields | changes)
    assert page.status_code == 422
    assert message in page.text
    assert 'value="09:00"' in page.text or "start_time" in changes
    assert all_mailings() == []


def test_somebody_elses_message_and_clients_cannot_be_used(signed_in, fields):
    stranger = factories.user()
    theirs = {"message_id": factories.message(stranger).id}
    assert post(signed_in, "/mailings/new", fields | theirs).status_code == 422
    client = factories.client(stranger, email="theirs@example.org")
    for chosen in ({"pasted": client.email}, {"ticked": [client.id]}):
        assert post(signed_in, "/mailings/new", fields | {"audience": "chosen"} | chosen).status_code == 422
    assert all_mailings() == []


def test_the_form_of_a_mailing_shows_what_it_is_and_changes_it(signed_in, fields):
    post(signed_in, "/mailings/new", fields | {"audience": "chosen", "pasted": "anna@example.org"})
    (mailing,) = all_mailings()
    page = signed_in.get(f"/mailings/{mailing.id}/edit")
    assert 'value="09:00"' in page.text
    assert 'value="Europe/Moscow"' in page.text
    assert "anna@example.org</textarea>" in page.text
    assert (
        post(signed_in, f"/mailings/{mailing.id}/edit", fields | {"title": "New", "audience": "keep"}).status_code
        == 302
    )
    (mailing,) = all_mailings()
    assert (mailing.title, audiences.count(mailing)) == ("New", 1)


def test_the_page_shows_schedule_clients_and_what_comes_next(signed_in, owner):
    mailing = factories.mailing(owner, clients=[factories.client(owner, email="anna@example.org")])
    page = signed_in.get(f"/mailings/{mailing.id}")
    assert "every day" in page.text
    assert "anna@example.org" in page.text
    assert "Next times" in page.text
    assert page.text.count(TOMORROW.strftime("%Y")) >= 5


def test_pausing_and_resuming_by_the_buttons(signed_in, owner, redis):
    mailing = factories.mailing(owner)
    post(signed_in, f"/mailings/{mailing.id}/pause")
    assert all_mailings()[0].paused_at
    assert "paused" in signed_in.get("/mailings?state=paused").text
    post(signed_in, f"/mailings/{mailing.id}/resume")
    assert all_mailings()[0].paused_at is None
    assert redis.llen("rq:queue:ticks") == 1


def test_a_disabled_mailing_shows_who_when_and_why(signed_in, owner):
    manager = factories.user(full_name="Maria Manager")
    mailing = factories.mailing(owner, disabled_at=clock.now(), disabled_by_id=manager.id, disabled_reason="complaints")
    for url in ("/mailings", f"/mailings/{mailing.id}"):
        assert "complaints" in signed_in.get(url).text
    assert "Maria Manager" in signed_in.get(f"/mailings/{mailing.id}").text


def test_a_mailing_being_sent_is_not_deleted_but_may_be_changed(signed_in, owner):
    mailing = factories.mailing(owner)
    open_attempt(mailing, waiting=2, sent=1)
    page = post(signed_in, f"/mailings/{mailing.id}/delete", follow_redirects=True)
    assert "This mailing is being sent." in page.text
    assert len(all_mailings()) == 1
    assert "holds from the next one on" in signed_in.get(f"/mailings/{mailing.id}/edit").text


def test_a_mailing_is_deleted(signed_in, owner):
    mailing = factories.mailing(owner)
    page = post(signed_in, f"/mailings/{mailing.id}/delete", follow_redirects=True)
    assert page.status_code == 200
    assert all_mailings() == []


@pytest.mark.parametrize("path", ["", "/edit", "/pause", "/resume", "/delete"])
def test_somebody_elses_mailing_is_not_there(signed_in, path):
    theirs = factories.mailing(factories.user())
    for mailing_id in (theirs.id, 0, 2**63, 10**30):
        url = f"/mailings/{mailing_id}{path}"
        if path not in ("/pause", "/resume", "/delete"):
            assert signed_in.get(url).status_code == 404
        if path:
            assert post(signed_in, url).status_code == 404
    assert len(all_mailings()) == 1


def test_the_numbers_of_the_last_attempt_open_their_lists(signed_in, owner):
    row = open_attempt(factories.mailing(owner), waiting=4, sent=2, failed=1)
    page = signed_in.get("/mailings")
    for state in ("waiting", "sent", "failed"):
        assert f"/attempts/{row.id}/deliveries?state={state}" in page.text
    assert "state=unknown" not in page.text


def test_the_list_asks_a_constant_number_of_questions(app, signed_in, owner):
    def questions():
        asked = []
        event.listen(db.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
        assert signed_in.get("/mailings").status_code == 200
        return len(asked)

    open_attempt(factories.mailing(owner))
    few = questions()
    for _ in range(5):
        open_attempt(factories.mailing(owner))
    assert questions() == few


@pytest.mark.parametrize(
    "query", ["page=-1", "page=abc", "page=9999999999", "q=%00", "q=%25", "state=nonsense", "state=%00"]
)
def test_a_list_takes_any_address(signed_in, owner, query):
    mailing = factories.mailing(owner)
    assert signed_in.get(f"/mailings?{query}").status_code == 200
    assert signed_in.get(f"/mailings/{mailing.id}?{query}").status_code == 200


def test_the_form_has_no_option_for_each_client(signed_in, fields):
    assert "anna@example.org" not in signed_in.get("/mailings/new").text


def test_a_form_that_is_sent_twice_makes_one_mailing(signed_in, fields):
    form = signed_in.get("/mailings/new").text
    fields["form_key"] = re.search(r'name="form_key"[^>]*value="([^"]+)"', form)[1]
    first = post(signed_in, "/mailings/new", fields)
    again = post(signed_in, "/mailings/new", fields | {"title": "Sent again after a look back"})
    assert first.location == again.location
    assert len(all_mailings()) == 1


def test_a_form_comes_back_with_its_key(signed_in, fields):
    page = post(signed_in, "/mailings/new", fields | {"title": "", "form_key": "abc"})
    assert re.search(r'name="form_key"[^>]*value="abc"', page.text)


def test_a_form_whose_mailing_is_gone_makes_another(signed_in, fields):
    fields["form_key"] = "abc"
    post(signed_in, "/mailings/new", fields)
    post(signed_in, f"/mailings/{all_mailings()[0].id}/delete")
    assert post(signed_in, "/mailings/new", fields).status_code == 302
    assert len(all_mailings()) == 1


def test_a_held_attempt_is_not_called_under_way(signed_in, owner):
    mailing = factories.mailing(owner, paused_at=clock.now())
    open_attempt(mailing, waiting=3)
    page = signed_in.get(f"/mailings/{mailing.id}").text
    assert "3 letters wait" in page
    assert "Being sent now" not in page


def test_a_changed_mailing_says_when_it_goes_out_next_in_plain_words(signed_in, owner):
    mailing = factories.mailing(owner)
    edit = f"/mailings/{mailing.id}/edit"
    fields = {
        "title": "Renamed",
        "message_id": mailing.message_id,
        "start_date": mailing.start_local.strftime("%Y-%m-%d"),
        "start_time": mailing.start_local.strftime("%H:%M"),
        "time_zone": "UTC",
        "periodicity": "daily",
        "audience": "keep",
    }
    page = post(signed_in, edit, fields, follow_redirects=True)
    assert "It goes out next on " in page.text
    assert "&lt;time" not in page.text


def test_an_attempt_is_stopped_from_the_mailings_page(signed_in, owner):
    mailing = factories.mailing(owner)
    open_attempt(mailing, waiting=2, sent=1)
    assert "Stop this attempt" in signed_in.get(f"/mailings/{mailing.id}").text
    page = post(signed_in, f"/mailings/{mailing.id}/cancel", follow_redirects=True)
    assert "will not be sent" in page.text
    again = post(signed_in, f"/mailings/{factories.mailing(owner).id}/cancel", follow_redirects=True)
    assert "Nothing of this mailing is being sent." in again.text


def test_a_draft_that_has_been_started_meanwhile_is_not_changed_without_a_word(signed_in, owner, fields):
    """Its form said that nothing is sent before the next page."""
    address = post(signed_in, "/mailings/new", fields).location.removesuffix("/start")
    standing = re.compile(r'name="standing"[^>]* value="([^"]+)"')
    first = fields | {"title": "Mended", "standing": standing.search(signed_in.get(f"{address}/edit").text)[1]}
    post(signed_in, f"{address}/start")
    page = post(signed_in, f"{address}/edit", first)
    assert page.status_code == 422
    assert "has been started meanwhile" in page.text
    assert 'value="Mended"' in page.text
    assert [m.title for m in all_mailings()] == ["Weekly digest"]
    assert post(signed_in, f"{address}/edit", first | {"standing": standing.search(page.text)[1]}).location == address
    db.session.rollback()
    assert [m.title for m in all_mailings()] == ["Mended"]
