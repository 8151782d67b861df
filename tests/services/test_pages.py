import pytest
from sqlalchemy import or_, select, text

from mailservice.database import db, large_joins
from mailservice.models import Client
from mailservice.sending.conditions import Conditions
from mailservice.services import clients
from mailservice.services.pages import Page, fetch, fetch_once, matches, rows
from tests import factories
from tests.queries import counted


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


def test_costly_conditions_are_asked_once_and_a_page_is_the_same(app):
    owner = factories.user()
    for name in ("Clara", "Anna", "Boris", "Anna"):
        factories.client(owner, full_name=name)
    query = select(Client.id).where(Client.owner_id == owner.id)
    order = (Client.full_name.desc(), Client.id)
    for number in (1, 2, 3, 1_000_000):
        page = fetch_once(query, order=order, number=number, size=2)
        assert page == fetch(query.order_by(*order), number=number, size=2)
        assert [row.id for row in rows(Client, page.items)] == page.items
    nobody = query.where(Client.full_name == "Dora")
    assert fetch_once(nobody, order=order, number=7, size=2) == Page([], 1, 2, 0)


def test_what_is_costly_is_asked_once_for_the_number_and_the_rows(app):
    owner = factories.user()
    for number in range(3):
        factories.client(owner, full_name=f"Anna {number}")
    with counted() as asked:
        page = clients.search(owner, wanted=Conditions(words="anna"), number=1, size=2)
    assert (page.total, len(page.items), sum("LIKE" in statement for statement in asked)) == (3, 2, 1)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_no_question_waits_for_a_compiler(app):
    assert db.session.scalar(text("SHOW jit")) == "off"


def test_only_a_question_about_all_clients_is_answered_by_large_joins(app):
    def setting():
        return db.session.scalar(text("SHOW enable_nestloop")) if db.engine.dialect.name == "postgresql" else None

    before = setting()
    with large_joins():
        within = setting()
    assert (before, within, setting()) in (("on", "off", "on"), (None, None, None))


ODD = (
    "50% off",
    "a_b",
    "a\\b",
    "a/b",
    "//",
    "'",
    '"',
    "Ёлкин Ёж",
    "ёлкин",
    "е\u0308лкин",
    "İstanbul",
    "K",
    "Straße",
    "",
)


@pytest.mark.parametrize(
    "words", ["иван", "ИВАН", "ё", "Ё", "%", "_", "\\", "/", "'", "е\u0308", "i", "k", "ss", "b", "a b", "x"]
)
def test_a_search_finds_what_a_search_of_each_column_finds(app, words):
    owner = factories.user()
    for number, odd in enumerate((*ODD, "Иван", "иванов", "Boris")):
        places = {place: odd if number % 3 == n else "" for n, place in enumerate(("full_name", "comment"))}
        factories.client(owner, **places)
    columns = (Client.email, Client.full_name, Client.comment)
    spellings = {words, words.lower(), words.upper(), words.capitalize(), words.title()}
    each = or_(*(c.icontains(s, autoescape=True) for c in columns for s in spellings))
    query = select(Client.id).where(Client.owner_id == owner.id)
    found = set(db.session.scalars(query.where(matches(words, *columns))))
    assert found == set(db.session.scalars(query.where(each)))


def test_a_search_does_not_reach_from_one_column_into_the_next(app):
    owner = factories.user()
    factories.client(owner, full_name="Anna", comment="Petrova")
    for words in ("AnnaPetrova", "Anna Petrova", "na"):
        query = select(Client).where(matches(words, Client.full_name, Client.comment))
        assert len(db.session.scalars(query).all()) == (words == "na")


@pytest.mark.parametrize("words", ["иван", "ИВАН", "Иван", "сидоров", "100%", "a_b"])
def test_a_search_minds_no_case_and_takes_wildcards_literally(app, words):
    owner = factories.user()
    wanted = factories.client(owner, full_name="Иван Сидоров 100% a_b")
    factories.client(owner, full_name="Мария 1000 acb")
    found = db.session.scalars(select(Client).where(matches(words, Client.full_name))).all()
    assert found == [wanted]
