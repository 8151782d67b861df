"""Planning a mailing and watching it go: headless Chromium, a real sender, a mail server that takes its time.

The pages are served by this process, so that the half minute of undoing need not be waited for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, Route, expect
from sqlalchemy import select, update
from werkzeug.serving import make_server

from mailservice import clock
from mailservice.database import db, transaction, write
from mailservice.jobs import ticks
from mailservice.models import Attempt, AttemptStatus, Client, Mailing, User
from tests import factories
from tests.e2e.conftest import is_complaint
from tests.engine import run_senders
from tests.faults.mail_server import PASS, MailServer, Wait
from tests.servers import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]
CLIENTS = 600
SLOWNESS = 0.25  # seconds that the mail server thinks about each letter


@pytest.fixture
def owner(app: Flask) -> User:
    made = factories.user(email="owner@example.org", time_zone="Europe/Moscow")
    addresses = [f"client{number}@example.org" for number in range(CLIENTS)]
    with transaction() as session:
        session.add_all(Client(owner_id=made.id, email=a, email_normalised=a, full_name="Boris") for a in addresses)
    factories.message(made, subject="Spring sale", body="Good day, {{ first_name }}!")
    return made


@pytest.fixture
def pages(app: Flask) -> Iterator[str]:
    """The address of this app, served by a thread."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(chromium: Browser, owner: User, pages: str) -> Iterator[Page]:
    """A page of the owner, signed in; an error in its console fails the test."""
    context = chromium.new_context(locale="en-US", base_url=pages)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/sign-in")
    page.locator("[name=email]").fill("owner@example.org")
    page.locator("[name=password]").fill(factories.PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(f"{pages}/")
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def senders(app: Flask) -> Iterator[None]:
    """What workers and scheduler do, in a thread, until the test is over."""
    over = threading.Event()

    def work() -> None:
        with app.app_context():
            while not over.wait(0.2):
                run_senders()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


def plan(page: Page) -> None:
    """From the empty form to the page before it goes."""
    page.goto("/mailings/new")
    expect(page.get_by_label("Find clients")).to_be_hidden()  # who ticks some means not all
    page.get_by_label("Title").fill("Spring mailing")
    page.get_by_label("Message", exact=True).select_option(label="Spring sale")
    expect(page.frame_locator("iframe").get_by_text("Good day")).to_be_visible()
    page.locator("[name=start_date]").fill("2031-01-31")
    page.locator("[name=start_time]").fill("09:00")
    firings = page.locator("#firings")
    expect(firings.locator("li")).to_have_count(1)
    page.get_by_label("How often").select_option("monthly")
    expect(firings.locator("li")).to_have_count(5)
    expect(firings).to_contain_text("this month has no 31st")
    page.locator("[name=end_date]").fill("2030-01-01")
    expect(firings.get_by_role("alert")).to_contain_text("The end must be later")
    page.locator("[name=end_date]").fill("")
    page.locator("[name=start_date]").fill((clock.now() - timedelta(days=2)).strftime("%Y-%m-%d"))
    expect(firings).to_contain_text("at once")
    choose_clients(page)
    page.keyboard.press("Control+s")
    expect(page.get_by_role("heading", name="Before it goes")).to_be_visible()
    expect(page.locator(".lead-number")).to_have_text(re.compile(r"\s*112\s+clients will get this letter\s*"))
    expect(page.get_by_role("main")).to_contain_text("Spring sale")


def choose_clients(page: Page) -> None:
    """All that match some words, and one more."""
    page.get_by_label("Chosen ones").check()
    page.get_by_label("Find clients").fill("client1")
    page.get_by_label("All 111 clients with “client1”").check()
    page.get_by_label("Find clients").fill("client22@")
    page.get_by_label("client22@example.org").check()
    expect(page.locator("[name=pasted]")).to_have_value("client22@example.org")
    expect(page.locator("#groups input")).to_be_checked()


def let_the_half_minute_pass() -> None:
    with write() as connection:
        connection.execute(update(Mailing).values(not_before=clock.now()))


def attempt() -> Attempt | None:
    db.session.rollback()
    return db.session.scalars(select(Attempt)).one_or_none()


def test_a_mailing_is_planned_started_and_undone(page: Page, mail_server: MailServer) -> None:
    plan(page)
    page.get_by_role("button", name="Start the mailing").click()
    expect(page.get_by_role("button", name=re.compile("Undo"))).to_be_visible()
    ticks.tick()
    page.get_by_role("button", name=re.compile("Undo")).click()
    expect(page.get_by_role("main")).to_contain_text("nothing was sent")
    expect(page.get_by_role("main")).to_contain_text("draft")
    let_the_half_minute_pass()
    run_senders()
    assert attempt() is None
    assert mail_server.accepted == []


def test_a_mailing_is_watched_paused_resumed_and_stopped(page: Page, mail_server: MailServer, senders: None) -> None:
    mail_server.on_dot((Wait(SLOWNESS), PASS))
    plan_for_all(page)
    page.get_by_role("button", name="Start the mailing").click()
    expect(page.get_by_role("button", name=re.compile("Undo"))).to_be_visible()
    page.evaluate("window.stillThis = true")
    let_the_half_minute_pass()
    live = page.locator(".live")
    expect(live).to_contain_text("Being sent", timeout=15_000)
    expect(live).to_contain_text(re.compile(r"\d+ sent"), timeout=15_000)
    expect(live).to_contain_text("250")
    top = live.bounding_box()
    speed, left = live.locator("dd").nth(1), live.locator("dd").nth(2)
    expect(speed).to_contain_text("a second", timeout=15_000)
    expect(left).to_contain_text("second")
    assert page.evaluate("window.stillThis"), "it was loaded again"
    now = live.bounding_box()
    assert top
    assert now
    assert abs(top["height"] - now["height"]) < 2, "the layout jumped"

    page.get_by_role("button", name="Pause").click()
    expect(live).to_contain_text("Paused")
    expect(live).to_contain_text("letters wait")
    wait_until(lambda: mail_server.open_connections == 0, what="the sender to let go")
    sent = len(mail_server.accepted)
    assert 0 < sent < CLIENTS

    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: len(mail_server.accepted) > sent, what="more letters")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Stop this attempt").click()
    wait_until(lambda: (found := attempt()) and not found.is_open, what="the attempt to end")
    closed = attempt()
    assert closed
    assert closed.status is AttemptStatus.CANCELLED
    assert closed.sent == len(mail_server.accepted) < CLIENTS
    assert closed.sent + closed.cancelled == CLIENTS
    expect(live).to_contain_text("Report of the last attempt", timeout=15_000)
    expect(live).to_contain_text(f"{closed.cancelled} cancelled")


def plan_for_all(page: Page) -> None:
    page.goto("/mailings/new")
    page.get_by_label("Title").fill("To everybody")
    page.get_by_label("Message", exact=True).select_option(label="Spring sale")
    page.locator("[name=start_date]").fill((clock.now() - timedelta(days=1)).strftime("%Y-%m-%d"))
    page.locator("[name=start_time]").fill("09:00")
    page.locator(".buttons .btn-primary").click()
    expect(page.locator(".lead-number b")).to_have_text(str(CLIENTS))


def test_an_unsaved_form_is_not_left_without_a_question(page: Page) -> None:
    page.goto("/mailings/new")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.get_by_label("Title").fill("Half a")
    page.get_by_role("link", name="Home", exact=True).click()
    page.wait_for_url(re.compile("/$"))
    assert asked == ["beforeunload"]


def test_switching_the_language_saves_no_form_and_asks_before_it_is_lost(page: Page) -> None:
    page.goto("/mailings/new")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.get_by_label("Title").fill("Half a")
    page.get_by_role("button", name="Рус").click()
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    assert asked == ["beforeunload"]


def test_a_service_that_starts_again_does_not_end_the_watching(page: Page, owner: User) -> None:
    clients = db.session.scalars(select(Client).limit(3)).all()
    mailing = factories.mailing(
        owner, clients=clients, next_at=clock.now(), not_before=clock.now() + timedelta(seconds=30)
    )
    broken: list[str] = []

    def break_once(route: Route) -> None:
        if broken:
            return route.continue_()
        broken.append(route.request.url)
        return route.fulfill(status=502, body="Bad gateway")

    page.route("**/live", break_once)
    page.goto(f"/mailings/{mailing.id}")
    with page.expect_response(lambda answer: answer.url.endswith("/live") and answer.ok, timeout=20_000):
        pass
    assert broken


def test_many_are_paused_at_once_and_one_by_its_menu(page: Page, owner: User) -> None:
    for title in ("First", "Second", "Third"):
        factories.mailing(owner, title=title, clients=[])
    page.goto("/mailings")
    page.get_by_label("Tick “First”").check()
    page.get_by_label("Tick “Second”").check()
    page.get_by_role("button", name="Pause 2").click()
    expect(page.get_by_role("main")).to_contain_text("2 mailings are paused.")
    page.get_by_role("button", name="What to do with “Third”").click()
    page.locator(".menu:popover-open").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete 1 mailing").click()
    expect(page.get_by_role("main")).to_contain_text("1 mailing is deleted.")
    expect(page.locator("tbody tr")).to_have_count(2)
