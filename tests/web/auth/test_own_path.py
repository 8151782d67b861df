import pytest

from mailservice.web.auth.own_path import own_path


@pytest.mark.parametrize("target", ["/", "/clients", "/clients?q=a%20b&page=2", "/mailings/7#attempts", "/clients/5"])
def test_a_path_of_ours_is_followed(browser, target):
    with browser.application.test_request_context():
        assert own_path(target) == target


@pytest.mark.parametrize(
    "target",
    [
        None,
        "",
        "clients",
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/ /evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "http:/evil.example",
        "https:evil.example",
        "/x\r\nSet-Cookie: a=b",
        "/x\x00",
        "//[evil",
        "/" + "x" * 3000,
        "/sign-out",
        "/mailings/7/delete",
        "/no/such/page",
        "/%2f/evil.example",
        "/%5cevil.example",
        "/..//evil.example",
        "/clients@evil.example",
        "/;//evil.example",
        "/\u2028/evil.example",
        "\u00a0//evil.example",
        "/\u3000/evil.example",
        "//evil.example/clients",
        "/\\/evil.example",
        "////evil.example/..",
        "//clients:80",
    ],
)
def test_nothing_else_is(browser, target):
    with browser.application.test_request_context():
        assert own_path(target) is None
