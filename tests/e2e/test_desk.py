"""The managers' desk in headless Chromium: its pages complain of nothing, work without scripts, and act."""

from __future__ import annotations

import json
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from mailservice.cli.seed import PASSWORD
from tests.servers import wait_until

pytestmark = pytest.mark.browser
LISTS = ["users", "mailings", "attempts", "deliveries", "clients", "messages", "suppressions", "posts", "events"]


def sign_in(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.locator("[name=email]").fill(email)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    expect(page.get_by_text(email).first).to_be_visible()
    page.locator("button[name=language][value=en]").click()


def test_every_page_of_the_desk_keeps_to_the_policy_and_to_the_screen(page: Page) -> None:
    """The fixture fails the test for any error in the console: what the policy forbids is one."""
    sign_in(page, "admin@example.org")
    for language, width in (("en", 1280), ("en", 360), ("ru", 360)):
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto("/manager/")
        page.locator(f"button[name=language][value={language}]").click()
        page.set_viewport_size({"width": width, "height": 800})
        for path in ("", *(f"{name}/" for name in LISTS), *(f"{name}/1" for name in LISTS), "users/3/block"):
            answer = page.goto(f"/manager/{path}")
            assert answer is not None
            assert answer.ok, path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} at {width}, {language}"


def test_filters_search_and_order_work_without_scripts(chromium: Browser, service: dict[str, str]) -> None:
    context = chromium.new_context(base_url=service["pages"], java_script_enabled=False, locale="en-US")
    page = context.new_page()
    sign_in(page, "manager@example.org")
    page.goto("/manager/mailings/")
    page.get_by_text("Filters and order").click()
    page.get_by_label("State").select_option("disabled")
    page.get_by_label("Order by").select_option(label="Mailing")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("searchbox").fill("nothing is called so")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("main")).to_contain_text("Nothing found")
    context.close()


def test_a_manager_disables_a_mailing_and_its_owner_gets_a_letter(page: Page, service: dict[str, str]) -> None:
    sign_in(page, "manager@example.org")
    page.goto("/manager/mailings/?q=Sunday+reading+list")
    page.get_by_role("link", name="Sunday reading list").click()
    page.get_by_role("link", name="Disable").click()
    page.get_by_label("Why").fill("Readers complain of it.")
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("main")).to_contain_text("Readers complain of it.")
    query = quote("to:john@example.org")

    def letters() -> list[dict[str, object]]:
        with urlopen(f"{service['inbox']}/api/v1/messages?query={query}") as answer:
            found: list[dict[str, object]] = json.load(answer)["messages"]
        return found

    wait_until(lambda: letters(), seconds=20, what="the letter to the owner")
    with urlopen(f"{service['inbox']}/api/v1/message/{letters()[0]['id']}") as answer:
        assert "Readers complain of it." in json.load(answer)["text"]
