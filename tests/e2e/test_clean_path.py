"""The clean path as a person walks it, in headless Chromium, on a service started by `make run`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect

from tests.servers import wait_until

pytestmark = pytest.mark.browser
EMAIL = "newcomer@example.org"
PASSWORD = "a quiet harbour at dawn"
CLIENT = "first.client@example.org"


def letters_to(service: dict[str, str], address: str) -> list[dict[str, object]]:
    with urlopen(f"{service['inbox']}/api/v1/messages?query={quote('to:' + address)}") as answer:
        found: list[dict[str, object]] = json.load(answer)["messages"]
    return found


def arrived(service: dict[str, str], address: str) -> int:
    """The id of the letter to this address, when it has come."""
    wait_until(lambda: letters_to(service, address), seconds=20, what=f"a letter to {address}")
    return int(str(letters_to(service, address)[0]["id"]))


def main_button(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=re.compile(f"^({name})")).click()


def test_from_registration_to_a_delivered_letter(page: Page, service: dict[str, str]) -> None:
    register_and_confirm(page, service)
    sign_in(page)
    create_a_client(page)
    create_a_message(page)
    create_a_mailing(page)
    see_it_delivered(page)
    open_the_letter(page, service)


def register_and_confirm(page: Page, service: dict[str, str]) -> None:
    page.goto("/register")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Name").fill("Nora Newcomer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("main")).to_contain_text(EMAIL)
    with urlopen(f"{service['inbox']}/api/v1/message/{arrived(service, EMAIL)}") as answer:
        text = json.load(answer)["text"]
    link = re.search(r"http://\S+/confirm/\S+", text)
    assert link
    page.goto(link[0])
    page.get_by_role("button", name=re.compile("confirm", re.IGNORECASE)).click()
    page.goto(link[0])
    expect(page.locator("body")).to_contain_text(re.compile("used|expired|no longer|valid", re.IGNORECASE))


def sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_text(EMAIL)).to_be_visible()


def create_a_client(page: Page) -> None:
    page.goto("/clients/new")
    page.locator("[name=email]").fill(CLIENT)
    page.locator("[name=full_name]").fill("Иван Петров")
    main_button(page, "Save|Add|Create")
    expect(page.get_by_role("main")).to_contain_text(CLIENT)


def create_a_message(page: Page) -> None:
    page.goto("/messages/new")
    page.locator("[name=subject]").fill("Hello, {{ first_name }}")
    page.locator("[name=body]").fill("Dear {{ full_name | friend }},\n\n**this is the first letter.**")
    main_button(page, "Save|Add|Create")
    expect(page.get_by_role("heading", name="Hello, {{ first_name }}")).to_be_visible()


def create_a_mailing(page: Page) -> None:
    start = datetime.now(UTC) - timedelta(minutes=5)
    page.goto("/mailings/new")
    page.locator("[name=title]").fill("My first mailing")
    page.locator("[name=message_id]").select_option(label="Hello, {{ first_name }}")
    page.locator("[name=start_date]").fill(start.strftime("%Y-%m-%d"))
    page.locator("[name=start_time]").fill(start.strftime("%H:%M"))
    page.locator("[name=time_zone]").fill("UTC")
    main_button(page, "Save and look it over")
    expect(page.get_by_role("heading", name="Before it goes")).to_be_visible()
    main_button(page, "Start the mailing")
    expect(page.get_by_role("heading", name="My first mailing")).to_be_visible()


def see_it_delivered(page: Page) -> None:
    def delivered() -> bool:
        page.goto("/reports")
        return page.get_by_role("link", name=re.compile("1 sent")).count() > 0

    wait_until(delivered, seconds=60, what="the report to say that the letter was accepted")
    page.get_by_role("link", name=re.compile("1 sent")).first.click()
    expect(page.get_by_role("main")).to_contain_text(CLIENT)
    expect(page.get_by_role("main")).to_contain_text("250 ")


def open_the_letter(page: Page, service: dict[str, str]) -> None:
    letter = arrived(service, CLIENT)
    page.goto(service["inbox"])
    page.get_by_role("link", name="Hello, Иван").click()
    body = page.frame_locator("iframe")
    expect(body.get_by_text("Dear Иван Петров")).to_be_visible()
    expect(body.locator("strong")).to_have_text("this is the first letter.")
    with urlopen(f"{service['inbox']}/api/v1/message/{letter}") as answer:
        unsubscribe = re.search(r"http://\S+/u/\S+", json.load(answer)["text"])
    assert unsubscribe
    page.goto(unsubscribe[0])
    main_button(page, "Send me no more letters")
    expect(page.get_by_role("main")).to_contain_text(re.compile("unsubscribed", re.IGNORECASE))


def test_a_double_click_sends_a_form_once(page):
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto("/register")
    page.fill("#email", "twice@example.org")
    page.fill("#password", "a long enough password")
    page.locator("main form button").evaluate("button => { button.click(); button.click(); }")
    page.wait_for_selector("text=twice@example.org")
    assert len(sent) == 1
