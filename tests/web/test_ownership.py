"""Somebody else's row does not exist: 404 for whoever is not its owner, at every address that names one."""

from __future__ import annotations

import pytest

from mailservice.models import Role
from tests import factories
from tests.architecture.test_routes import snapshot
from tests.web import routes


@pytest.fixture
def things(app):
    return routes.make_things(factories.user())


def walk(app, browser, things):
    """(method, path, answer) of every address that names a row."""
    for rule, method, path in routes.requests(app, things):
        if routes.names_a_row(rule) and not rule.endpoint.startswith("posts."):  # theirs is test_desk.py
            yield method, path, routes.send(browser, method, path)


def test_every_address_with_an_id_is_one_that_this_test_walks(app, things):
    walked = [rule.endpoint for rule in routes.rules(app) if routes.names_a_row(rule)]
    assert len(walked) > 10
    numbers = [rule.endpoint for rule in routes.rules(app) if "<int:" in rule.rule]
    assert numbers == walked, "an argument that holds an id is named after what it is the id of: client_id"


@pytest.mark.parametrize("role", [Role.USER, Role.MANAGER, Role.ADMIN])
def test_whoever_is_not_the_owner_finds_nothing_and_changes_nothing(app, browser, things, role):
    stranger = factories.user(role=role)
    routes.make_things(stranger)
    factories.sign_in(browser, stranger)
    before = snapshot()
    walked = walk(app, browser, things)
    wrong = [f"{method} {path}: {answer.status}" for method, path, answer in walked if answer.status_code != 404]
    assert wrong == []
    assert snapshot() == before


def test_nobody_sees_the_sign_in_page_and_changes_nothing(app, browser, things):
    before = snapshot()
    for method, path, answer in walk(app, browser, things):
        assert answer.status_code == 302, f"{method} {path}: {answer.status}"
        assert answer.location.startswith("/sign-in"), path
    assert snapshot() == before


def test_the_owner_gets_a_page_or_is_led_on(app, browser, things):
    factories.sign_in(browser, things.owner)
    wrong = []
    for rule in routes.rules(app):
        if routes.names_a_row(rule) and not rule.endpoint.startswith("posts."):
            for method in routes.methods(rule):
                fresh = routes.make_things(things.owner)  # the one before may be deleted by now
                path = routes.address(app, rule, fresh.arguments(rule))
                answer = routes.send(browser, method, path)
                if answer.status_code not in (200, 302, 422):  # 422: the form is empty, and is shown again
                    wrong.append(f"{method} {path}: {answer.status}")
    assert wrong == []


def test_a_list_shows_nothing_of_anybody_else(app, browser, things):
    secret = "nobody else's word"
    factories.client(things.owner, full_name=secret, email="secret@example.org")
    factories.mailing(things.owner, title=secret, message=factories.message(things.owner, subject=secret))
    factories.sign_in(browser, factories.user())
    for rule, _, path in routes.requests(app, things, only=("GET",)):
        if not rule.arguments:
            page = browser.get(path, query_string={"q": ""}).text
            assert secret not in page.replace("&#39;", "'"), path
            assert "secret@example.org" not in page, path
