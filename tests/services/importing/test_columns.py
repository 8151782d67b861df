"""What columns are is guessed well enough that most people have nothing to choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservice.services.importing.columns import MOST, TITLES, Role, guess

ANNA = ["Анна Петрова", "anna@example.org", "купила 3 раза"]


@pytest.mark.parametrize(
    ("titles", "roles"),
    [
        ("ФИО;E-mail;Комментарий", ["full_name", "email", "comment"]),
        ("Full name;Email address;Notes", ["full_name", "email", "comment"]),
        ("Клиент;Эл. почта;Город", ["full_name", "email", ""]),
        ("Имя;Адрес электронной почты;Примечание", ["full_name", "email", "comment"]),
        ("№;Почта;Телефон", ["", "email", ""]),
        ("Кто;Куда;Что", ["full_name", "email", "comment"]),
    ],
)
def test_by_their_titles(titles, roles):
    layout = guess([titles.split(";"), ANNA])
    assert layout.has_header
    assert list(layout.roles) == roles


def test_first_and_last_names_are_put_together():
    layout = guess([["Фамилия", "Имя", "Email"], ["Петрова", "Анна", "anna@example.org"]])
    assert list(layout.roles) == ["last_name", "first_name", "email"]


def test_by_what_stands_in_them_where_there_are_no_titles():
    layout = guess([ANNA, ["Борис Иванов", "boris@example.org", "звонить после 10"]])
    assert not layout.has_header
    assert list(layout.roles) == ["full_name", "email", "comment"]


def test_a_column_called_address_in_which_people_live_is_not_taken():
    rows = [["Адрес", "Имя", "Контакт"], ["Москва, Тверская 1", "Анна", "anna@example.org"]]
    assert list(guess(rows).roles).index("email") == 2


def test_of_several_columns_of_addresses_one_is_taken():
    rows = [["Email", "E-mail", "Name"], ["", "anna@example.org", "Anna"], ["", "b@example.org", "B"]]
    assert list(guess(rows).roles) == ["", "email", "full_name"]


@given(st.lists(st.lists(st.text(max_size=6) | st.just("a@example.org"), max_size=6), max_size=6))
def test_whatever_stands_in_a_file_the_guess_fits_it(rows):
    layout = guess(rows)
    assert len(layout.roles) == min(MOST, max(map(len, rows), default=0))
    assert layout.roles.count(Role.EMAIL) <= 1
    if any("a@example.org" in row for row in rows[1:]):
        assert Role.EMAIL in layout.roles


@given(st.permutations(["email", "full_name", "comment"]), st.data())
def test_known_titles_are_found_in_any_order_and_any_spelling(order, data):
    cells = {"email": "anna@example.org", "full_name": "Анна Петрова", "comment": "купила"}
    titles = [data.draw(st.sampled_from(TITLES[Role(role)].split(", "))) for role in order]
    spelt = [
        data.draw(st.sampled_from([str.upper, str.title, lambda t: f" {t.replace(' ', '_')}: "]))(t) for t in titles
    ]
    assert list(guess([spelt, [cells[role] for role in order]]).roles) == order


def test_every_title_means_one_thing():
    titles = [title for titles in TITLES.values() for title in titles.split(", ")]
    assert len(titles) == len(set(titles))
