"""Writing a message as a person does it, in headless Chromium: fields, pictures, the letter beside it, a test."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy

import pytest
from flask import Flask
from PIL import Image as Drawing
from playwright.sync_api import Browser, Dialog, FrameLocator, Page, expect
from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Message, User
from tests import factories
from tests.e2e.attacks import ATTACKS
from tests.servers import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]


@pytest.fixture
def owner(app: Flask) -> User:
    return factories.user(email="anna@shop.example")


@pytest.fixture
def visit(app: Flask, site: str, owner: User, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page as the owner; an error in a console fails the test."""
    contexts, complaints = [], []

    def open_page(path: str, **options: object) -> Page:
        session = factories.sign_in(app.test_client(), owner).get_cookie("session")
        assert session
        context = chromium.new_context(base_url=site, locale="en-US", **options)
        context.add_cookies([{"name": "session", "value": session.value, "url": site}])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def letter(page: Page) -> FrameLocator:
    return page.frame_locator(".look-stage iframe:not(.coming)")


def only_message() -> Message:
    db.session.rollback()
    return db.session.scalars(select(Message)).one()


def test_a_message_is_written_looked_at_saved_and_tried_out(visit, owner, mail_server, tmp_path):
    factories.client(owner, email="boris@example.org", full_name="Boris Ivanov")
    page = visit("/messages/new")
    before = page.evaluate("history.length")
    page.fill("[name=subject]", "For ")
    page.click("button[title='first name']")
    page.click("[name=body]")
    page.keyboard.type("# Hello, ")
    page.click("button[title='first name']")
    page.keyboard.type("!")
    expect(letter(page).get_by_role("heading")).to_have_text("Hello, Anna!")
    expect(page.locator("[data-part=advice]")).to_contain_text("“Hello, !”")
    assert page.input_value("[name=subject]") == "For {{ first_name }}"

    page.select_option("#as", "client")
    page.fill("[name=who]", "bor")
    expect(page.locator("#readers option")).to_have_attribute("value", "boris@example.org")
    expect(letter(page).get_by_role("heading")).to_have_text("Hello, Boris!")
    assert page.evaluate("history.length") == before

    put_a_picture(page, tmp_path)
    page.click("label[for=show-text]")
    expect(page.locator(".look-text")).to_contain_text("a red cup")

    page.keyboard.press("Control+s")
    page.wait_for_url(re.compile(r"/messages/\d+$"))
    assert only_message().body.startswith("# Hello, {{ first_name }}!")
    page.fill("[name=email]", "me@example.org")
    page.get_by_role("button", name="Send the test letter").click()
    expect(page.get_by_role("main")).to_contain_text("The mail server: 250")
    wait_until(lambda: mail_server.accepted, what="the test letter")
    assert message_from_bytes(mail_server.accepted[0].content, policy=policy.default)["Subject"] == "[Test] For Anna"


def put_a_picture(page: Page, folder) -> None:
    path = folder / "a red cup.png"
    Drawing.new("RGB", (60, 40), "red").save(path)
    page.click("[name=body]")
    page.keyboard.press("Control+End")
    with page.expect_file_chooser() as chooser:
        page.click("[data-upload]")
    chooser.value.set_files(path)
    expect(page.locator("[name=body]")).to_have_value(
        re.compile(r"!\[a red cup\]\(http\S+/messages/images/\S+\.jpg\)$")
    )


def test_what_is_typed_is_not_lost_without_a_question(visit):
    page = visit("/messages/new")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", stay)
    page.click("[name=body]")
    page.keyboard.type("half a thought")
    expect(letter(page).locator("body")).to_contain_text("half a thought")
    page.goto("/messages")
    assert asked == ["beforeunload"]


def test_all_of_it_works_without_a_script(visit, owner):
    page = visit("/messages/new", java_script_enabled=False)
    page.fill("[name=subject]", "News")
    page.fill("[name=body]", "Hello, {{ first_name }}!")
    page.get_by_role("button", name="Show").click()
    expect(page.frame_locator("iframe[name=letter]").get_by_text("Hello, Anna!")).to_be_visible()
    page.get_by_role("button", name="Check").click()
    expect(page.locator("[data-part=advice]")).to_contain_text("“Hello, !”")
    assert page.input_value("[name=body]") == "Hello, {{ first_name }}!"
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile(r"/messages/\d+$"))
    assert only_message().subject == "News"


@pytest.mark.parametrize("kind", ["Markdown", "HTML of your own", "Plain text"])
def test_the_frame_runs_nothing_of_what_is_written(visit, kind):
    page = visit("/messages/new")
    fired: list[str] = []
    page.context.expose_binding("fired", lambda source: fired.append(source["frame"].url))
    page.goto("/messages/new")
    page.locator(".kinds").get_by_text(kind).click()
    page.fill("[name=subject]", "News")
    body = "\n\n".join(attack for attack in ATTACKS if "{{" not in attack)
    page.fill("[name=body]", body + "\n\nthe end")
    expect(page.locator("[data-part=advice]")).to_contain_text("unsubscribe")
    expect(letter(page).locator("body")).not_to_be_empty()
    assert any(frame.url.endswith("/messages/draft/preview") for frame in page.frames)
    assert fired == []
