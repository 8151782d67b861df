from tests import factories


def test_no_cache_keeps_a_page_of_a_signed_in_person(browser):
    assert "Cache-Control" not in browser.get("/").headers
    factories.sign_in(browser, factories.user())
    for url in ("/", "/clients", "/clients/999", "/nowhere"):
        assert browser.get(url).headers["Cache-Control"] == "private, no-store"
    assert "no-store" not in browser.get("/static/app.css").headers["Cache-Control"]
