import pytest
from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Client
from mailservice.services.pages import Page, fetch, matches
from tests import factories


def test_a_page_knows_where_it_stands():
    page = Page(["a"], number=3, size=25, total=51)
    assert (page.last, page.first_row, page.last_row) == (3, 51, 51)


def test_no_rows_are_one_empty_page():
    page = Page([], number=1, size=25, total=0)
    assert (page.last, page.first_row, page.last_row) == (1, 0, 0)


def test_a_page_beyond_the_end_is_the_last_one(app):
    owner = factories.user()
    emails = [factories.client(owner, email=f"{letter}@example.org").email for letter in "abc"]
    page = fetch(select(Client).order_by(Client.email), number=1_000_000, size=2)
    assert (page.number, page.total) == (2, 3)
    assert [c.email for c in page.items] == emails[2:]


@pytest.mark.parametrize("words", ["иван", "ИВАН", "Иван", "сидоров", "100%", "a_b"])
def test_a_search_minds_no_case_and_takes_wildcards_literally(app, words):
    owner = factories.user()
    wanted = factories.client(owner, full_name="Иван Сидоров 100% a_b")
    factories.client(owner, full_name="Мария 1000 acb")
    found = db.session.scalars(select(Client).where(matches(words, Client.full_name))).all()
    assert found == [wanted]
