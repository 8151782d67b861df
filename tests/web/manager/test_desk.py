"""The managers' desk: closed to others, read only, nothing secret, nothing that breaks."""

from __future__ import annotations

import csv
import io
import re

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import insert, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Batch,
    Breaker,
    Client,
    Delivery,
    Event,
    Post,
    Result,
    Role,
    State,
    Suppression,
    SuppressionReason,
    User,
)
from mailservice.services import audit
from mailservice.services.audit import Action
from mailservice.web.manager import VIEWS, desk, sheets, words
from mailservice.web.sheets import FORMULA
from tests import factories
from tests.architecture.test_routes import BIG, ODD, snapshot
from tests.web import routes

LISTS = [view.slug for view in VIEWS]


@pytest.fixture
def owner(app):
    return factories.user(email="owner@shop.example", full_name="Olga Owner")


@pytest.fixture
def manager(app):
    return factories.user(email="manager@example.net", role=Role.MANAGER, time_zone="UTC")


@pytest.fixture
def signed_in(browser, manager):
    return factories.sign_in(browser, manager)


@pytest.fixture
def things(owner):
    return routes.make_things(owner)


def desk_rules(app):
    return [rule for rule in routes.rules(app) if rule.rule.startswith("/manager")]


def pages(app, things):
    """(rule, address) of every page of the desk."""
    for rule in desk_rules(app):
        if "GET" in routes.methods(rule):
            yield rule, routes.address(app, rule, things.arguments(rule))


def attempt_to(owner, *emails, reply="550 5.1.1 <{}> unknown", title="Digest"):
    """A closed attempt whose letters were all refused, each with a reply that names its address."""
    mailing = factories.mailing(owner, title=title)
    now = clock.now()
    values = {"status": AttemptStatus.DONE, "succeeded": False, "failed": len(emails), "audience": len(emails)}
    with transaction() as session:
        attempt = Attempt(mailing_id=mailing.id, owner_id=owner.id, occurrence=0, due_at=now, finished_at=now, **values)
        attempt.server_reply = reply.format(emails[-1])
        session.add(attempt)
        session.flush()
        counts = {"size": len(emails), "waiting": 0, "failed": len(emails)}
        session.execute(insert(Batch), [{"attempt_id": attempt.id, "number": 1, **counts}])
        for email in emails:
            address = {"email": email, "email_normalised": email, "full_name": "", "comment": ""}
            delivery = Delivery(attempt_id=attempt.id, batch=1, client_id=1, **address)
            session.add(delivery)
            session.flush()
            result = {"delivery_id": delivery.id, "attempt_id": attempt.id, "round": 1, "state": State.FAILED}
            session.execute(insert(Result), [result | {"tried_at": now, "code": 550, "reply": reply.format(email)}])
    return attempt


def export(browser, slug, **query):
    """The rows of a list's file, each by column."""
    url = f"/manager/{slug}/export"
    answer = browser.post(url, query_string=query, data={"csrf_token": factories.csrf_token(browser)})
    assert answer.mimetype == "text/csv"
    assert len(answer.data) == answer.content_length
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))


# Who may enter


@pytest.mark.parametrize("role", [Role.USER, None], ids=["user", "blocked-manager"])
def test_for_everybody_else_there_is_no_desk_whatever_the_method(app, browser, things, role):
    person = factories.user(role=role or Role.MANAGER)
    factories.sign_in(browser, person)
    if role is None:
        with transaction() as session:
            session.get_one(User, person.id).blocked_at = clock.now()
    before = snapshot()
    wrong = []
    for rule in desk_rules(app):
        path = routes.address(app, rule, things.arguments(rule))
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            answer = browser.open(path, method=method, data={"csrf_token": factories.csrf_token(browser)})
            due = (404, 405) if role else (302, 405)
            if answer.status_code not in due:
                wrong.append(f"{method} {path}: {answer.status}")
    assert wrong == []
    assert snapshot() == before


def test_only_managers_find_the_desk_in_the_rail(app, manager):
    for person, sees in ((factories.user(), False), (manager, True), (factories.user(role=Role.ADMIN), True)):
        page = factories.sign_in(app.test_client(), person).get("/").text
        assert ('href="/manager/"' in page) is sees


@pytest.mark.parametrize(
    "path",
    ["new/", "edit/?id=1", "delete/", "action/", "export/csv/", "ajax/lookup/", "ajax/update/", "details/?id=1"],
)
def test_what_flask_admin_would_offer_beyond_looking_has_no_address(signed_in, things, path):
    before = snapshot()
    assert signed_in.get(f"/manager/users/{path}").status_code == 404
    assert factories.post(signed_in, f"/manager/users/{path}", {"id": things.owner.id}).status_code == 404
    assert snapshot() == before


def test_nothing_of_flask_admin_is_served_as_a_file(app, signed_in):
    assert [rule.rule for rule in desk_rules(app) if "static" in rule.endpoint or "filename" in rule.arguments] == []


def test_looking_at_everything_changes_nothing(app, signed_in, things):
    before = snapshot()
    for _rule, path in pages(app, things):
        assert signed_in.get(path).status_code in (200, 404), path  # 404: the roles are for administrators
    assert snapshot() == before


# What is shown


def test_no_page_and_no_file_tells_a_secret_or_how_to_write_to_a_client(app, browser, things, owner):
    factories.sign_in(browser, factories.user(role=Role.ADMIN))
    client = db.session.get_one(Client, things.client_id)
    told = {"comment": "phone 555-0199", "full_name": "Konstantin Clientov"}
    with transaction() as session:
        for name, value in told.items():
            setattr(session.get_one(Client, client.id), name, value)
    attempt = attempt_to(owner, "refused@example.org")
    secrets = [owner.password_hash, owner.session_key, attempt.key, *told.values()]
    secrets += [client.email, "refused@example.org", "refused"]
    shown = {path: browser.get(path).text for _rule, path in pages(app, things)}
    shown |= {f"{slug}.csv": str(export(browser, slug)) for slug in LISTS}
    found = browser.get("/manager/clients/", query_string={"q": client.email}).text
    shown["search"] = re.sub(r'(value|action|href)="[^"]*"', "", found)  # but what was typed
    assert [(path, secret) for path, text in shown.items() for secret in secrets if secret in text] == []
    assert "c***@example.org" in shown["clients.csv"]


def test_every_list_names_its_columns():
    for view in VIEWS:
        columns = {*view.column_list, *view.column_details_list, *(view.column_export_list or ())}
        assert columns <= set(view.column_formatters), view.slug
        assert not columns & desk.NEVER_SHOWN


def test_a_list_that_names_a_secret_does_not_even_start():
    class Careless(VIEWS[0]):
        column_list = ("email", "password_hash")

    with pytest.raises(RuntimeError, match="password_hash"):
        Careless()


def test_the_pages_need_no_script_no_style_of_their_own_and_nobody_elses_server(app, signed_in, things):
    for _rule, path in pages(app, things):
        page = signed_in.get(path).text
        assert not re.search(r"<[^>]+\s(on\w+|style)=", page), path
        assert "<script>" not in page
        assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]+', page) == []


def test_replies_are_masked_wherever_they_are_shown(signed_in, owner):
    attempt = attempt_to(owner, "ivan@example.org", "petr@example.org")
    delivery = db.session.scalars(select(Delivery.id).where(Delivery.email == "ivan@example.org")).one()
    with transaction() as session:
        session.add(Breaker(name="mail.example:25", last_reply="421 <ivan@example.org> later", retry_at=clock.now()))
    for path in ("", "attempts/", f"attempts/{attempt.id}", "deliveries/", f"deliveries/{delivery}"):
        page = signed_in.get(f"/manager/{path}").text
        assert re.search(r"&lt;[ip]\*\*\*@example.org&gt;", page), path
        assert "ivan@" not in page
        assert "petr@" not in page


def test_a_number_of_an_attempt_opens_the_deliveries_behind_it(signed_in, owner):
    attempt = attempt_to(owner, "ivan@example.org", "petr@example.org")
    attempt_to(owner, "another@example.org")
    page = signed_in.get(f"/manager/attempts/{attempt.id}").text
    link = f"/manager/deliveries/?attempt={attempt.id}&amp;state=failed"
    assert link in page
    shown = signed_in.get(link.replace("&amp;", "&")).text
    assert len(re.findall(r'class="name masked"', shown)) == 2
    for state in ("sent", "waiting", "unknown"):
        assert "Nothing found" in signed_in.get(f"/manager/deliveries/?attempt={attempt.id}&state={state}").text


def test_deliveries_are_shown_attempt_by_attempt_the_newest_first(signed_in, owner):
    attempts = [attempt_to(owner, f"a@{n}.example", f"b@{n}.example") for n in range(3)]
    address = "/manager/deliveries/?state=failed"
    name = re.compile(r'class="name masked"[^>]*>[^<]*@(\d)\.example')
    assert name.findall(signed_in.get(address).text) == ["2", "2", "1", "1", "0", "0"]
    assert name.findall(signed_in.get(f"{address}&attempt={attempts[1].id}").text) == ["1", "1"]


# Finding


@pytest.fixture
def many(owner):
    """Some of everything, so that each search and each filter has something to leave out."""
    other = factories.user(email="other@shop.example", full_name="Пётр Иванов", confirmed=False)
    for person, word in ((owner, "Alpha"), (other, "Омега")):
        message = factories.message(person, subject=f"{word} subject")
        factories.client(person, email=f"{person.id}@clients.example")
        factories.mailing(person, title=f"{word} mailing", message=message, clients=[])
        attempt_to(person, f"{person.id}@clients.example", title=f"{word} attempt")
        with transaction() as session:
            values = {"owner_id": person.id, "email_normalised": f"{person.id}@clients.example"}
            reason = SuppressionReason.BY_HAND if person is owner else SuppressionReason.UNSUBSCRIBED
            session.add(Suppression(reason=reason, **values))
            published = clock.now() if person is owner else None
            post = {"title": f"{word} post", "slug": word, "body": "", "published_at": published}
            session.add(Post(author_id=person.id, **post))
            audit.note(person, Action.SIGNED_IN if person is owner else Action.EXPORTED, subject=person)
    return owner, other


@pytest.mark.parametrize(
    ("slug", "query", "shown"),
    [
        ("users", "q=Olga", 1),
        ("users", "q=пётр", 1),
        ("users", "q=shop.example", 2),
        ("users", "role=manager", 1),
        ("users", "state=unconfirmed", 1),
        ("users", "until=2020-01-01", 0),
        ("mailings", "q=alpha", 2),
        ("mailings", "q=омега subject", 1),
        ("mailings", "owner=OTHER@shop.example", 2),
        ("mailings", "period=once", 0),
        ("mailings", "state=created", 4),
        ("attempts", "q=alpha", 1),
        ("attempts", "owner=other@shop.example", 1),
        ("attempts", "state=troubled", 2),
        ("attempts", "state=open", 0),
        ("deliveries", "state=failed", 2),
        ("deliveries", "owner=other@shop.example", 1),
        ("deliveries", "owner=other@shop.example&state=failed", 1),
        ("deliveries", "owner=other@shop.example&state=sent", 0),
        ("deliveries", "owner=nobody@shop.example&state=failed", 0),
        ("deliveries", "attempt=1000000000&state=failed", 0),
        ("deliveries", "q=nobody@clients.example", 0),
        ("clients", "q=clients.example", 0),
        ("clients", "owner=owner@shop.example", 2),
        ("messages", "q=ОМЕГА", 1),
        ("suppressions", "reason=by_hand", 1),
        ("suppressions", "owner=other@shop.example", 1),
        ("posts", "state=draft", 1),
        ("posts", "q=alpha", 1),
        ("posts", "author=other@shop.example", 1),
        ("events", "action=exported", 1),
        ("events", "actor=owner@shop.example", 1),
        ("events", "q=Иванов", 1),
        ("events", "since=2100-01-01", 0),
    ],
)
def test_searching_and_filtering(signed_in, many, slug, query, shown):
    page = signed_in.get(f"/manager/{slug}/?{query}").text
    assert len(re.findall(r"<tr><td>|<tr><td ", page)) == shown
    assert ("Nothing found" in page) is (shown == 0)


@pytest.mark.parametrize("slug", ["clients", "deliveries", "suppressions"])
def test_a_client_is_found_by_the_whole_address_alone(signed_in, many, slug):
    email = f"{many[0].id}@clients.example"
    assert "***@clients.example" in signed_in.get(f"/manager/{slug}/?q={email.upper()}").text
    for part in (email[:-1], email[1:], "clients.example", "%"):
        assert "Nothing found" in signed_in.get(f"/manager/{slug}/", query_string={"q": part}).text


def test_no_list_of_masked_addresses_can_be_put_in_their_order(app):
    for view in app.extensions["admin"][0]._views:
        if getattr(view, "slug", "") in ("clients", "deliveries", "suppressions"):
            assert not view._sortable_columns


@pytest.mark.parametrize(("desc", "first"), [("", "manager@example.net"), ("&desc=1", "owner@shop.example")])
def test_a_list_in_the_order_of_a_column(signed_in, owner, desc, first):
    page = signed_in.get(f"/manager/users/?sort=0{desc}").text
    assert re.search(r'class="name"[^>]*>([^<]+)<', page)[1] == first
    assert f'aria-sort="{"descending" if desc else "ascending"}"' in page


def test_a_list_goes_on_on_its_next_page_with_all_that_was_asked(signed_in, owner):
    for number in range(30):
        factories.mailing(owner, title=f"Digest {number:02}", clients=[])
    factories.mailing(owner, title="Another", clients=[])
    page = signed_in.get("/manager/mailings/?q=digest&size=25&sort=0&owner=owner@shop.example")
    following = re.search(r'rel="next" href="([^"]+)"', page.text)[1].replace("&amp;", "&")
    shown = re.findall(r"Digest \d\d", signed_in.get(following).text)
    assert shown == [f"Digest {number}" for number in range(25, 30)]


def test_a_long_list_is_not_counted_to_its_end(signed_in, owner, monkeypatch):
    monkeypatch.setattr(desk.Desk, "counted", 50)
    for _ in range(60):
        factories.message(owner)
    page = signed_in.get("/manager/messages/?size=25&page=9").text
    assert "more than 50" in page
    assert "The list ends here" in page
    assert 'rel="next"' not in page


@pytest.mark.parametrize("slug", LISTS)
def test_a_list_asks_the_same_number_of_questions_however_long_it_is(signed_in, owner, slug):
    def questions():
        asked = []

        def note(*args):
            asked.append(args[2])

        sqlalchemy_event.listen(db.engine, "before_cursor_execute", note)
        assert signed_in.get(f"/manager/{slug}/").status_code == 200
        sqlalchemy_event.remove(db.engine, "before_cursor_execute", note)
        return len(asked)

    routes.make_things(owner)
    few = questions()
    for _ in range(3):
        routes.make_things(factories.user())
    assert questions() == few


# Whatever stands in the address


@pytest.mark.parametrize("slug", LISTS)
def test_whatever_is_asked_of_a_list_it_is_a_list(app, signed_in, things, slug):
    names = ["q", "page", "size", "sort", "desc", "id", "_scheme", "_anchor", "_external", "_method", "endpoint"]
    view = next(v for v in app.extensions["admin"][0]._views if getattr(v, "slug", "") == slug)
    names += [choice.arg for choice in view._filters or []]
    odd = [*ODD, "1", "99", "-5", "2024-02-30", "0001-01-01", "9999-12-31", "user-1", f"user-{2**64}", "1" * 4301]
    for turn in range(len(odd)):  # each name meets each value, in the company of others
        query = {name: odd[(turn + 3 * n) % len(odd)] for n, name in enumerate(names)}
        asked = {name: value.encode("utf-8", "surrogatepass") for name, value in query.items()}
        assert signed_in.get(f"/manager/{slug}/", query_string=asked).status_code == 200, query


def test_a_filter_that_makes_no_sense_is_left_out_and_said_so(signed_in, owner):
    page = signed_in.get("/manager/users/?role=king&since=tomorrow").text
    assert "“king” does not fit “Role”." in page
    assert "owner@shop.example" in page


def test_a_row_that_is_not_there_is_not_found(app, signed_in):
    for slug in LISTS:
        for number in (*BIG, 999_999):
            assert signed_in.get(f"/manager/{slug}/{number}").status_code == 404
        assert signed_in.get(f"/manager/{slug}/abc").status_code == 404


# Files


def test_a_file_has_all_rows_of_the_list_as_it_was_asked_for(signed_in, owner, monkeypatch):
    monkeypatch.setattr(sheets, "SLICE", 7)
    for number in range(60):
        factories.mailing(owner, title=f"Digest {number:02}", clients=[])
    factories.mailing(owner, title="Another", clients=[])
    rows = export(signed_in, "mailings", q="digest")
    assert [row["Mailing"] for row in rows] == [f"Digest {number:02}" for number in reversed(range(60))]
    assert {row["Owner"] for row in rows} == {"owner@shop.example"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " =", "＝"])
def test_no_cell_of_a_file_is_a_formula(signed_in, start):
    factories.user(full_name=f"{start}HYPERLINK(1)")
    cells = [cell for row in export(signed_in, "users") for cell in row.values()]
    assert any("HYPERLINK" in cell for cell in cells)
    assert [cell for cell in cells if cell.strip()[:1] in FORMULA] == []


def test_numbers_and_times_in_a_file_are_for_a_spreadsheet(signed_in, owner):
    attempt = attempt_to(owner, "ivan@example.org")
    (row,) = export(signed_in, "attempts")
    assert row["failed"] == "1"
    assert row["Due"] == attempt.due_at.isoformat(" ", "seconds")
    assert row["Server's answer"] == "550 5.1.1 <i***@example.org> unknown"


def test_a_list_that_is_too_long_for_a_file_is_refused_whole(signed_in, owner, monkeypatch):
    monkeypatch.setattr(sheets, "MOST", 2)
    for _ in range(3):
        factories.message(owner)
    answer = factories.post(signed_in, "/manager/messages/export?q=news", follow_redirects=True)
    assert answer.mimetype == "text/html"
    assert "More than 2 rows" in answer.text
    assert db.session.scalars(select(Event)).all() == []


def test_who_takes_a_file_leaves_an_event_and_a_get_gives_none(signed_in, manager, owner):
    assert signed_in.get("/manager/users/export").status_code == 405
    assert signed_in.post("/manager/users/export").status_code == 400  # without the form's token
    export(signed_in, "users")
    event = db.session.scalars(select(Event)).one()
    assert (event.actor_id, event.action, event.address) == (manager.id, "exported", "127.0.0.1")
    assert event.detail == {"list": "users", "rows": 2}


# The first page, and the words


def test_the_first_page_tells_of_queues_workers_and_mail_server(app, signed_in, redis):
    with transaction() as session:
        session.add(Breaker(name="mail.example:25", last_reply="421 try later", retry_at=clock.now()))
    redis.rpush("rq:queue:sending", "a", "b")
    redis.sadd("rq:workers", "rq:worker:one")
    redis.hset("rq:worker:one", mapping={"hostname": "post", "pid": "77", "state": "busy", "queues": "sending"})
    page = signed_in.get("/manager/").text
    for words_shown in ("mail.example:25", "421 try later", "post:77", "busy"):
        assert words_shown in page
    assert re.search(r'<td>sending</td><td class="num">2</td>', page)


def test_the_first_page_says_what_is_missing(app, signed_in):
    assert "No worker is alive" in signed_in.get("/manager/").text
    app.config["REDIS_URL"] = "redis://127.0.0.1:1/0"
    clients, app.extensions["redis_clients"] = app.extensions.get("redis_clients"), {}
    try:
        page = signed_in.get("/manager/")
    finally:
        app.extensions["redis_clients"] = clients or {}
    assert page.status_code == 200
    assert "Redis does not answer." in page.text


def test_every_number_of_the_first_page_has_its_noun(signed_in, manager, owner):
    with transaction() as session:
        session.get_one(User, manager.id).language = "ru"
    page = signed_in.get("/manager/").text
    for told in ("<b>2</b>пользователя", "</i>0</b>заблокировано", "<b>0</b>рассылок"):
        assert told in page
    factories.mailing(owner)
    assert "<b>1</b>рассылка" in signed_in.get(f"/manager/users/{owner.id}").text


def test_every_action_and_every_role_has_its_word():
    assert set(words.LISTS) == {view.slug for view in VIEWS}
    assert set(words.ACTIONS) == set(Action)
    assert set(words.ROLES) == set(Role)
    assert set(words.SUPPRESSIONS) == set(SuppressionReason)


def test_an_event_tells_who_did_what_to_whom_and_why(signed_in, manager, owner):
    mailing = factories.mailing(owner, title="Weekly digest")
    with transaction():
        audit.note(manager, Action.MAILING_DISABLED, subject=mailing, address="192.0.2.7", reason="Complaints")
        audit.note(None, Action.ROLE_CHANGED, subject=owner, before="user", after="manager")
    page = signed_in.get("/manager/events/").text
    for told in ("disabled a mailing", "Weekly digest", "reason: Complaints", "192.0.2.7", "the command line"):
        assert told in page
    assert "before: user; after: manager" in page
    with transaction():
        audit.note(owner, Action.EXPORTED, list="suppressions", rows=3)
        audit.note(owner, Action.SENT_AGAIN, state="unknown", letters=2)
    page = signed_in.get("/manager/events/").text
    for told in ("list: stop list; rows: 3", "state: uncertain; letters: 2"):
        assert told in page
    (row,) = export(signed_in, "events", about=f"mailing-{mailing.id}")
    assert (row["Who"], row["To what"]) == ("manager@example.net", "Weekly digest")
