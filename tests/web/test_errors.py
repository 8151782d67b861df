import pytest
from sqlalchemy.exc import OperationalError

from mailservice.database import db
from tests import factories
from tests.factories import post


@pytest.fixture
def as_in_production(app):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


@pytest.mark.parametrize(("language", "words"), [("en", "There is no such page"), ("ru", 'lang="ru"')])
def test_a_missing_page_speaks_the_visitors_language(browser, language, words):
    post(browser, "/language", {"language": language})
    page = browser.get("/nowhere")
    assert page.status_code == 404
    assert words in page.text


def test_a_form_without_its_token_is_explained(browser):
    post(browser, "/language", {"language": "en"})
    page = browser.post("/sign-in", data={"email": "a@example.org"})
    assert page.status_code == 400
    assert "expired or came from another site" in page.text


def test_a_wrong_method_is_405(browser):
    assert browser.delete("/sign-in").status_code in {400, 405}
    assert browser.get("/sign-out").status_code == 405


def test_a_body_that_is_too_big_is_explained(browser):
    factories.sign_in(browser, factories.user())
    for megabytes in (5, 10, 17):
        page = post(browser, "/clients/new", {"email": "a@example.org", "comment": "x" * (megabytes * 2**20)})
        assert page.status_code == 413
        assert "MB" in page.text or "МБ" in page.text


def test_the_page_of_a_fault_stands_when_the_database_does_not(as_in_production, browser, monkeypatch):
    """The driver is replaced by one that fails, as when the server is away."""
    factories.sign_in(browser, factories.user())
    asked = []

    def fail(*args, **kwargs):
        asked.append(1)
        raise OperationalError("SELECT", {}, Exception("the server is away"))

    monkeypatch.setattr(db.engine.dialect, "do_execute", fail)
    page = browser.get("/clients")
    assert page.status_code == 500
    assert 'class="error-code">500<' in page.text
    assert "OperationalError" not in page.text
    assert len(asked) == 1  # the page of the fault asks nothing


def test_a_fault_tells_nothing_of_the_inside(as_in_production, browser):
    from mailservice.web.home import views

    as_in_production.view_functions["home.index"] = views.public(lambda: 1 // 0)
    try:
        page = browser.get("/")
    finally:
        as_in_production.view_functions["home.index"] = views.index
    assert page.status_code == 500
    assert "ZeroDivisionError" not in page.text
