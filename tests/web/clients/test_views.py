import pytest
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.models import Client
from tests import factories
from tests.factories import post

BORIS = {"email": "boris@example.org", "full_name": "Boris Ivanov", "comment": "Likes tea"}


def number_of_clients():
    return db.session.scalar(select(func.count()).select_from(Client))


def test_an_empty_list_names_the_next_step(owner, browser):
    assert 'href="/clients/new"' in browser.get("/clients").text


def test_a_client_is_added_seen_changed_and_deleted(owner, browser):
    assert post(browser, "/clients/new", BORIS).location == "/clients"
    client = db.session.scalars(select(Client)).one()
    assert client.owner_id == owner.id
    url = f"/clients/{client.id}"
    assert "Boris Ivanov" in browser.get("/clients").text
    assert "Likes tea" in browser.get(url).text
    assert 'value="Boris Ivanov"' in browser.get(f"{url}/edit").text
    assert post(browser, f"{url}/edit", BORIS | {"full_name": "B. Ivanov"}).location == url
    assert "B. Ivanov" in browser.get(url).text
    assert post(browser, f"{url}/delete").location == "/clients"
    assert browser.get(url).status_code == 404
    assert number_of_clients() == 0


def test_a_second_client_with_the_address_is_told_beside_the_field(owner, browser):
    factories.client(owner, email="boris@example.org")
    page = post(browser, "/clients/new", BORIS | {"email": "BORIS@example.org"})
    assert page.status_code == 422
    assert 'id="email-error"' in page.text
    assert 'value="BORIS@example.org"' in page.text
    assert "Likes tea" in page.text
    assert number_of_clients() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "nonsense"),
        ("email", "a@example.org\nBcc: b@example.org"),
        ("email", "a\x00@example.org"),
        ("full_name", "a\r\nBcc: b@example.org"),
        ("full_name", "=?utf-8?b?QmNjOg==?="),
        ("full_name", "a\x00"),
        ("full_name", "x" * 201),
        ("comment", "a\x00b"),
        ("comment", "x" * 5001),
    ],
)
@pytest.mark.parametrize("page_of", ["new", "edit"])
def test_bad_input_is_told_beside_its_field_and_changes_nothing(owner, browser, page_of, field, value):
    client = factories.client(owner, full_name="Old Name")
    url = "/clients/new" if page_of == "new" else f"/clients/{client.id}/edit"
    page = post(browser, url, BORIS | {field: value})
    assert page.status_code == 422
    assert f'id="{field}-error"' in page.text
    assert number_of_clients() == 1
    assert db.session.get(Client, client.id).full_name == "Old Name"


@pytest.mark.parametrize("path", ["", "/edit", "/delete"])
def test_somebody_elses_client_is_not_found_and_stays(owner, browser, path):
    url = f"/clients/{factories.client(factories.user()).id}{path}"
    if path != "/delete":
        assert browser.get(url).status_code == 404
    if path:
        assert post(browser, url, BORIS).status_code == 404
    assert number_of_clients() == 1


@pytest.mark.parametrize("path", ["", "/new", "/1", "/1/edit"])
def test_nobody_gets_the_sign_in_page(browser, path):
    assert browser.get("/clients" + path).location.startswith("/sign-in")


@pytest.mark.parametrize("client_id", ["0", "-1", "abc", str(2**63), "9" * 40, "1.5", "%00"])
def test_a_strange_number_is_not_found(owner, browser, client_id):
    assert browser.get(f"/clients/{client_id}").status_code == 404
    assert post(browser, f"/clients/{client_id}/delete").status_code == 404


def test_nothing_is_deleted_by_a_get_or_without_the_token(owner, browser):
    url = f"/clients/{factories.client(owner).id}/delete"
    assert browser.get(url).status_code == 405
    assert browser.post(url).status_code == 400
    assert number_of_clients() == 1


@pytest.mark.parametrize(
    "query",
    ["page=-1", "page=abc", "page=" + "9" * 50, "page=2", "size=1", "size=100000", "q=%00", "q=%25", "q=" + "x" * 5000],
)
def test_any_query_gives_a_list(owner, browser, query):
    factories.client(owner)
    assert browser.get(f"/clients?{query}").status_code == 200


def test_a_long_list_comes_in_pages_that_keep_the_search(owner, browser):
    for n in range(30):
        factories.client(owner, full_name=f"Client {n:02}")
    first = browser.get("/clients?size=25&q=Client")
    assert "Client 24" in first.text
    assert "Client 25" not in first.text
    assert "/clients?size=25&amp;q=Client&amp;page=2" in first.text
    assert "Client 25" in browser.get("/clients?size=25&q=Client&page=2").text


def test_a_name_is_text_and_never_markup(owner, browser):
    client = factories.client(owner, full_name="<script>alert(1)</script>", comment="{{ 1234567 * 9 }}<b>")
    for url in ("/clients", f"/clients/{client.id}", f"/clients/{client.id}/edit"):
        page = browser.get(url).text
        assert "<script>alert" not in page
        assert "11111103" not in page


def test_a_client_gets_no_address_that_another_one_has(browser):
    owner = factories.user()
    client, other = factories.client(owner), factories.client(owner, full_name="Vera")
    page = post(factories.sign_in(browser, owner), f"/clients/{client.id}/edit", {"email": other.email})
    assert page.status_code == 422
    assert 'id="email-error"' in page.text
    assert "Boris Ivanov" in browser.get(f"/clients/{client.id}").text
