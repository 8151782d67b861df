import pytest
from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Client
from tests import factories
from tests.factories import post


def emails():
    db.session.rollback()
    return sorted(db.session.scalars(select(Client.email)))


def test_a_group_is_offered_and_merged_into_the_one_who_stays(owner, browser):
    anna = factories.client(owner, email="anna@example.org")
    other = factories.client(owner, email="anna+shop@example.org", full_name="Anna Petrova")
    page = browser.get("/clients/duplicates").text
    assert "anna+shop@example.org" in page
    answer = post(browser, "/clients/duplicates/merge", {"keep": other.id, "client": [anna.id, other.id]})
    assert answer.location == "/clients/duplicates?by=mailbox"
    assert emails() == ["anna+shop@example.org"]
    assert "No duplicates" in browser.get("/clients/duplicates").text


def test_one_name_is_another_list(owner, browser):
    for email in ("a@x.org", "b@x.org"):
        factories.client(owner, email=email, full_name="Anna Petrova")
    assert "a@x.org" in browser.get("/clients/duplicates?by=name").text
    assert "a@x.org" not in browser.get("/clients/duplicates").text


@pytest.mark.parametrize(
    "values", [{}, {"keep": "x"}, {"keep": "1"}, {"client": ["1", "2"]}, {"keep": 2**70, "client": ["x", 2**70]}]
)
def test_a_choice_that_makes_no_sense_is_told_and_merges_nobody(owner, browser, values):
    factories.client(owner)
    factories.client(factories.user())
    page = post(browser, "/clients/duplicates/merge", values | {"by": "<b>"}, follow_redirects=True)
    assert "Choose at least two" in page.text
    assert len(emails()) == 2
