import pytest

from mailservice.web import paging


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
