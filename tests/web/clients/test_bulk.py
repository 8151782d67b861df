import json
import re

import pytest
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.models import Client
from mailservice.services import many_clients, tags
from mailservice.web.clients import bulk
from tests import factories
from tests.factories import post


@pytest.fixture
def three(owner):
    return [factories.client(owner, email=f"{name}@example.org") for name in ("anna", "boris", "clara")]


def hidden(page):
    """What the page's own form would send."""
    form = page.text.partition('action="/clients/bulk/do"')[2].partition("</form>")[0]
    found = {}
    for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form):
        found.setdefault(name, []).append(value.replace("&#34;", '"').replace("&quot;", '"'))
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def carriers(name):
    db.session.rollback()
    return sorted(
        db.session.get(Client, client_id).email.partition("@")[0]
        for client_id, names in tags.of_clients(db.session.scalars(select(Client.id)).all()).items()
        if name in names
    )


def clients():
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Client))


def ask(browser, act, **values):
    return post(browser, "/clients/bulk", {"act": act, "scope": "ticked", "named": ""} | values)


def test_the_ticked_are_tagged_after_their_number_is_confirmed(browser, owner, three):
    page = ask(browser, "tag", client=[three[0].id, three[2].id], named="VIP")
    assert "Tag 2 clients" in page.text
    assert carriers("VIP") == []
    done = post(browser, "/clients/bulk/do", hidden(page), follow_redirects=True)
    assert "2 clients are tagged" in done.text
    assert carriers("VIP") == ["anna", "clara"]
    page = ask(browser, "untag", client=[three[0].id], named="vip")
    post(browser, "/clients/bulk/do", hidden(page))
    assert carriers("VIP") == ["clara"]


def test_all_that_match_are_deleted_without_a_field_for_each(browser, owner, three):
    theirs = factories.client(factories.user())
    listed = browser.get("/clients?q=example.org&domain=example.org").text
    wanted = re.search(r'name="wanted" value="([^"]*)"', listed).group(1).replace("&#34;", '"')
    page = ask(browser, "delete", scope="all", wanted=wanted)
    assert "Delete 3 clients" in page.text
    assert 'name="client"' not in page.text
    answer = post(browser, "/clients/bulk/do", hidden(page))
    assert answer.location == "/clients?q=example.org&domain=example.org"
    assert clients() == 1
    assert db.session.get(Client, theirs.id) is not None


def test_a_number_that_has_changed_is_asked_about_again(browser, owner, three):
    page = ask(browser, "delete", scope="all", wanted="{}")
    factories.client(owner)
    again = post(browser, "/clients/bulk/do", hidden(page))
    assert "Delete 4 clients" in again.text
    assert clients() == 4
    post(browser, "/clients/bulk/do", hidden(again))
    assert clients() == 0


def test_an_act_that_takes_long_goes_on_at_a_button(browser, owner, three, monkeypatch):
    monkeypatch.setattr(many_clients, "SLICE", 2)
    monkeypatch.setattr(bulk, "SECONDS", 0.0)
    page = post(browser, "/clients/bulk/do", hidden(ask(browser, "delete", scope="all", wanted="{}")))
    assert "0 of 3 clients are done" in page.text
    monkeypatch.setattr(bulk, "SECONDS", 5.0)
    assert "3 clients are deleted" in post(browser, "/clients/bulk/do", hidden(page), follow_redirects=True).text
    assert clients() == 0


@pytest.mark.parametrize(
    "values",
    [
        {"act": "tag", "named": "VIP"},
        {"act": "tag", "named": " , ", "scope": "all"},
        {"act": "untag", "named": "Unknown", "scope": "all"},
        {"act": "delete", "client": [str(2**70)]},
        {"act": "delete", "scope": "all", "wanted": '{"words": "nobody"}'},
    ],
)
def test_an_act_about_nobody_or_nothing_is_told_on_the_list(browser, owner, three, values):
    page = post(browser, "/clients/bulk", {"scope": "ticked", "wanted": "{}"} | values, follow_redirects=True)
    assert page.status_code == 200
    assert "notice-error" in page.text


@pytest.mark.parametrize("path", ["/clients/bulk", "/clients/bulk/do"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"act": "eat"},
        {"scope": "world"},
        {"client": "abc"},
        {"wanted": "["},
        {"wanted": "[" * 5000},
        {"wanted": '{"any_tags": ["x"]}'},
        {"until": str(2**70)},
        {"after": "-1"},
    ],
)
def test_nonsense_is_refused_and_changes_nothing(browser, owner, three, path, values):
    whole = {"act": "delete", "scope": "all", "wanted": "{}", "counted": "2"} if values else {}
    assert post(browser, path, whole | values).status_code in (400, 302, 200)
    assert clients() == 3


def test_tags_of_others_are_not_taken_off(browser, owner, three):
    stranger = factories.user()
    theirs = factories.client(stranger)
    tag = factories.tag(stranger, "VIP", theirs)
    wanted = json.dumps({"any_tags": [tag.id]})
    page = post(browser, "/clients/bulk", {"act": "delete", "scope": "all", "wanted": wanted}, follow_redirects=True)
    assert "Nobody is chosen" in page.text
    assert clients() == 4
