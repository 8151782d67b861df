import re
from html import unescape

import pytest

from mailservice.services import signups
from tests import factories
from tests.factories import post

WORDS = {"is_open": "y", "title": "Our news", "text": "Twice", "consent_text": "I agree to “news”.", "language": "ru"}


@pytest.fixture
def owner(browser):
    user = factories.user()
    factories.sign_in(browser, user)
    return user


def test_the_form_is_closed_until_its_owner_opens_it(app, owner, browser):
    page = browser.get("/sign-up-form").text
    assert "I agree to get letters at this address." in page
    assert "/join/" not in page
    assert post(browser, "/sign-up-form", WORDS).location == "/sign-up-form"
    form = signups.form_of(owner)
    page = browser.get("/sign-up-form").text
    assert f"/join/{form.key}" in page
    assert app.test_client().get(f"/join/{form.key}").status_code == 200
    post(browser, "/sign-up-form", {**WORDS, "is_open": ""})
    assert app.test_client().get(f"/join/{form.key}").status_code == 404


def test_the_snippet_is_plain_html_in_the_forms_language_and_posts_to_us(owner, browser, settings):
    post(browser, "/sign-up-form", WORDS | {"consent_text": "<script>alert(1)</script> & so on"})
    page = browser.get("/sign-up-form").text
    snippet = unescape(re.search(r"<textarea[^>]*readonly[^>]*>(.*?)</textarea>", page, re.DOTALL)[1])
    assert f'<form action="{settings.public_url}/join/{signups.form_of(owner).key}" method="post"' in snippet
    assert 'name="email"' in snippet
    assert "<script" not in snippet
    assert "style" not in snippet


def test_what_is_wrong_stands_beside_its_field_and_the_typed_stays(owner, browser):
    page = post(browser, "/sign-up-form", WORDS | {"title": "", "consent_text": "Kept"})
    assert page.status_code == 422
    assert 'id="title-error"' in page.text
    assert "Kept" in page.text
    assert signups.form_of(owner) is None
