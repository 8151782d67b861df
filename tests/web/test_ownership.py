"""The matrix: every route, with every method, as each of four roles. What a role may is in routes.ACCESS.

Somebody else's row does not exist, and a page that is not for one's role is none: 404 for both.
"""

from __future__ import annotations

import pytest

from mailservice.models import Role
from mailservice.web import security
from tests import factories
from tests.architecture.test_routes import PUBLIC, snapshot
from tests.web import routes

ROLES = [None, Role.USER, Role.MANAGER, Role.ADMIN]  # None: a visitor


@pytest.fixture
def things(app):
    return routes.make_things(factories.user())


def expected(rule, role):
    """“page”, “sign-in” or “none”: what somebody finds at an address that names things of another."""
    if rule.endpoint in PUBLIC:
        return "page"
    if role is None:
        return "sign-in"
    access = routes.access(rule)
    return "page" if role in access.roles and (access.others or not routes.names_a_row(rule)) else "none"


def found(answer):
    if answer.status_code == 404:
        return "none"
    if answer.status_code == 302 and answer.location.startswith("/sign-in"):
        return "sign-in"
    return "page" if answer.status_code < 500 else answer.status


def test_every_address_with_an_id_is_one_that_the_matrix_knows(app):
    named = [rule.endpoint for rule in routes.rules(app) if routes.names_a_row(rule)]
    assert len(named) > 10
    numbers = [rule.endpoint for rule in routes.rules(app) if "<int:" in rule.rule]
    assert numbers == named, "an argument that holds an id is named after what it is the id of: client_id"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role or "visitor")
def test_what_is_closed_to_a_role_is_not_there_and_changes_nothing(app, browser, things, role):
    if role:
        person = factories.user(role=role)
        routes.make_things(person)  # things of his own open no other doors
        factories.sign_in(browser, person)
    before = snapshot()
    wrong = []
    for rule, method, path in routes.requests(app, things):
        due = expected(rule, role)
        if due != "page" and (met := found(routes.send(browser, method, path))) != due:
            wrong.append(f"{method} {path}: {met} instead of {due}")
    assert wrong == []
    assert snapshot() == before


@pytest.mark.parametrize("role", list(Role))
def test_what_is_open_to_a_role_answers(app, browser, things, role):
    """With things of another, where others' are seen."""
    person = factories.user(role=role)
    wrong = []
    for rule in routes.rules(app):
        for method in routes.methods(rule):
            if rule.endpoint in PUBLIC or expected(rule, role) != "page":
                continue
            acts = method == "POST" and routes.names_a_row(rule)
            fresh = routes.make_things(factories.user()) if acts else things  # an act may end what it is about
            factories.sign_in(browser, person)  # and another one the session
            answer = routes.send(browser, method, routes.address(app, rule, fresh.arguments(rule)))
            if found(answer) != "page" and rule.endpoint not in LEADS_TO_THE_DOOR:
                wrong.append(f"{method} {rule.rule}: {answer.status}")
    assert wrong == []


REFUSED = {"reports.again": 409, "reports.send_again": 409}  # all letters have arrived: there is nothing to send
LEADS_TO_THE_DOOR = {"account.end_all_sessions"}


@pytest.mark.parametrize("role", [Role.USER, Role.MANAGER, Role.ADMIN])
def test_the_owner_gets_a_page_or_is_led_on(app, browser, role):
    owner = factories.user(role=role)
    wrong = []
    for rule in routes.rules(app):
        if routes.names_a_row(rule) and not routes.access(rule).others:
            for method in routes.methods(rule):
                fresh = routes.make_things(owner)  # the one before may be deleted by now
                factories.sign_in(browser, owner)
                answer = routes.send(browser, method, routes.address(app, rule, fresh.arguments(rule)))
                due = (200, 302, 422, REFUSED.get(rule.endpoint))  # 422: the form is empty, and is shown again
                if answer.status_code not in due:
                    wrong.append(f"{method} {rule.rule}: {answer.status}")
    assert wrong == []


def test_what_is_marked_public_is_what_the_matrix_takes_for_public(app):
    assert {endpoint for endpoint in app.view_functions if security.is_public(app, endpoint)} == PUBLIC
