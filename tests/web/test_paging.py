import re

import pytest

from mailservice.web import paging
from tests import factories


@pytest.mark.parametrize(
    ("query", "number", "size"),
    [
        ("", 1, 50),
        ("page=3&size=25", 3, 25),
        ("page=0", 1, 50),
        ("page=-1", 1, 50),
        ("page=abc&size=abc", 1, 50),
        ("page=1e5", 1, 50),
        ("page=%00", 1, 50),
        ("page=٣", 1, 50),
        ("page=²", 1, 50),
        ("page=999999999", 1_000_000, 50),
        ("page=" + "9" * 5000, 1, 50),
        ("size=1000000", 1, 50),
    ],
)
def test_any_query_is_a_page(app, query, number, size):
    with app.test_request_context(f"/clients?{query}"):
        assert paging.asked() == {"number": number, "size": size}


@pytest.mark.parametrize("name", ["endpoint", "_method", "_scheme", "_external", "values"])
def test_the_way_to_the_next_page_keeps_what_was_asked_whatever_that_is(browser, app, name):
    owner = factories.user()
    for number in range(26):
        factories.client(owner, full_name=f"Client {number:02}")
    page = factories.sign_in(browser, owner).get(f"/clients?size=25&{name}=%D1%8F%26b&q=Client")
    assert page.status_code == 200
    following = re.search(r'rel="next" href="([^"]+)"', page.text)[1].replace("&amp;", "&")
    assert "Client 25" in browser.get(following).text
    assert f"{name}=%D1%8F%26b" in following
