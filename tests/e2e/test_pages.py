"""Every page of the URL map: nothing that shuts people out, little to load, nothing from elsewhere.

Each is looked at in both themes and both languages as its owner and, where it is public, as a visitor, too.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, BrowserContext, Page, Request

from mailservice.web import security
from tests import factories
from tests.e2e import axe
from tests.web import routes
from tests.web.routes import Things

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]

SERIOUS = ("serious", "critical")
BUDGET = 150_000  # octets of a page's styles and scripts, compressed
FULL: dict[str, Any] = {"resultTypes": ["violations"], "iframes": False}
COLOURS = FULL | {"runOnly": ["color-contrast", "link-in-text-block"]}  # all else is the same in the other theme
PARTS = 2  # of the walk, so that none lasts long
RUN = """options => axe.run(document, options).then(found => found.violations.map(
    one => [one.id, one.impact, one.nodes.slice(0, 3).map(node => node.html.slice(0, 160))]))"""


@dataclass
class Loaded:
    """What the browser asked for: the styles and scripts of a page, and addresses elsewhere."""

    of_page: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)

    def note(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            self.foreign.add(request.url)
        if request.resource_type in ("stylesheet", "script"):
            self.of_page.add(request.url)


def compressed(browser: FlaskClient, urls: set[str]) -> int:
    """Octets of these files of ours."""
    paths = [urlsplit(url)._replace(scheme="", netloc="").geturl() for url in urls]
    return sum(len(gzip.compress(browser.get(path).data)) for path in paths)


@pytest.fixture
def owner(app: Flask) -> Any:
    return factories.user(is_editor=True)


@pytest.fixture
def things(owner: Any) -> Things:
    return routes.make_things(owner)


def context_of(chromium: Browser, site: str, browser: FlaskClient | None, language: str) -> BrowserContext:
    """Without animation: a colour on its way from one theme to the other is neither's."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 900}, locale=language, reduced_motion="reduce", base_url=site
    )
    if browser:
        cookie = browser.get_cookie("session")
        assert cookie
        context.add_cookies([{"name": "session", "value": cookie.value, "url": site}])
    return context


def pages(app: Flask, browser: FlaskClient, things: Things, *, public_only: bool) -> Iterator[str]:
    """Addresses of whole pages for this browser; a preview in its sandbox is a letter, in which no script runs."""
    for rule, _method, path in routes.requests(app, things, only=("GET",)):
        if public_only and not security.is_public(app, rule.endpoint):
            continue
        answer = browser.get(path)
        is_letter = "sandbox" in answer.headers["Content-Security-Policy"]
        if answer.status_code == 200 and answer.mimetype == "text/html" and "<html" in answer.text and not is_letter:
            yield path


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("who", "language"), [("owner", "en"), ("owner", "ru"), ("visitor", "en")])
def test_no_page_shuts_anybody_out_or_loads_much(app, chromium, site, owner, things, who, language, part):
    script = axe.source()
    if script is None:
        pytest.skip("axe-core is not here: it takes npm, see “make axe”")
    with factories.transaction():
        owner.language = language
    browser = app.test_client()
    if who == "owner":
        factories.sign_in(browser, owner)
    context = context_of(chromium, site, browser if who == "owner" else None, language)
    page, loaded = context.new_page(), Loaded()
    page.on("request", loaded.note)
    found: list[str] = []
    for path in list(pages(app, browser, things, public_only=who == "visitor"))[part::PARTS]:
        loaded.of_page.clear()
        page.goto(path)
        found += faults(page, path, script)
        assert loaded.of_page
        size = compressed(browser, loaded.of_page)
        found += [f"{path}: {size} octets of styles and scripts"] * (size > BUDGET)
    context.close()
    assert found == []
    assert loaded.foreign == set()


def faults(page: Page, path: str, script: str) -> list[str]:
    """In the light theme everything, in the dark one the colours."""
    page.evaluate(script)  # past the pages' own policy, which allows no such script
    told = []
    for theme, options in (("light", FULL), ("dark", COLOURS)):
        page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
        told += [
            f"{path} ({theme}): {name}, {impact}: {nodes}"
            for name, impact, nodes in page.evaluate(RUN, options)
            if impact in SERIOUS
        ]
    return told


def test_the_search_for_faults_finds_one(app, chromium, site):
    script = axe.source()
    if script is None:
        pytest.skip("axe-core is not here: it takes npm, see “make axe”")
    context = context_of(chromium, site, None, "en")
    page = context.new_page()
    page.set_content('<html lang="en"><title>x</title><main><img src="x"><p style="color:#ccc">pale</p></main>')
    assert [fault.partition("): ")[2].partition(",")[0] for fault in faults(page, "/x", script)] == [
        "color-contrast",
        "image-alt",
        "color-contrast",
    ]
    context.close()
