"""The inbox's page and JSON, with letters that came through its mail server."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from mailservice.inbox.store import Store
from tests.inbox.conftest import Send
from tests.inbox.test_store import arrive

ENGLISH = {"Accept-Language": "en"}


def test_the_json_list_has_the_total_and_each_letters_fields(send: Send, browser: FlaskClient) -> None:
    send(to="Анна <anna@example.org>", subject="Привет")
    answer = browser.get("/api/v1/messages").get_json()
    assert answer["total"] == 1
    (letter,) = answer["messages"]
    assert letter.keys() >= {"id", "from", "to", "subject", "date"}
    assert (letter["from"], letter["to"], letter["subject"]) == (
        "Shop <news@shop.example>",
        "Анна <anna@example.org>",
        "Привет",
    )


def test_the_json_list_takes_a_query_a_limit_and_a_start(store: Store, browser: FlaskClient) -> None:
    arrive(store, "one", "two", "three")
    arrive(store, "four", to="ivan@example.org")
    found = browser.get("/api/v1/messages?query=to:anna@example.org&limit=1&start=1").get_json()
    assert (found["total"], [m["subject"] for m in found["messages"]]) == (3, ["two"])
    for wrong in ("limit=-1", "start=-5", "limit=x&start=y", "limit=999999999999999999999999"):
        assert browser.get(f"/api/v1/messages?{wrong}").status_code == 200


def test_one_letter_as_json_has_its_parts_and_headers(send: Send, browser: FlaskClient) -> None:
    send(text="As text", html="<p>As <b>HTML</b></p>")
    letter = browser.get("/api/v1/message/1").get_json()
    assert (letter["text"], letter["html"]) == ("As text\n", "<p>As <b>HTML</b></p>\n")
    assert letter["headers"]["To"] == ["Anna <anna@example.org>"]
    assert letter["envelope"] == {"from": "news@shop.example", "to": ["anna@example.org"]}
    assert browser.get("/api/v1/message/2").status_code == 404


def test_deleting_empties_the_inbox(send: Send, browser: FlaskClient) -> None:
    send()
    assert browser.delete("/api/v1/messages").status_code == 204
    assert browser.get("/api/v1/messages").get_json()["total"] == 0
    send()
    assert browser.post("/clear", headers={"Origin": "http://localhost"}).status_code == 302
    assert browser.get("/api/v1/messages").get_json()["total"] == 0


def test_another_site_can_neither_delete_nor_read(send: Send, browser: FlaskClient) -> None:
    send()
    assert browser.post("/clear", headers={"Origin": "https://evil.example"}).status_code == 403
    assert browser.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert browser.get("/api/v1/messages").get_json()["total"] == 1


def test_an_empty_inbox_says_what_will_come(browser: FlaskClient) -> None:
    assert "No letters yet." in browser.get("/", headers=ENGLISH).text
    assert "Delete all" not in browser.get("/", headers=ENGLISH).text


def test_the_list_shows_letters_and_turns_pages(store: Store, browser: FlaskClient) -> None:
    arrive(store, *(f"letter {n}" for n in range(60)))
    first = browser.get("/", headers=ENGLISH).text
    assert "letter 59" in first
    assert "letter 9<" not in first
    assert "Page 1 of 2" in first
    assert "letter 9<" in browser.get("/?page=2", headers=ENGLISH).text
    assert browser.get("/?page=999", headers=ENGLISH).status_code == 200


def test_a_search_without_a_find_offers_the_way_back(store: Store, browser: FlaskClient) -> None:
    arrive(store, "one")
    assert "Show all letters" in browser.get("/?query=<b>none</b>", headers=ENGLISH).text
    assert "<b>none" not in browser.get("/?query=<b>none</b>", headers=ENGLISH).text


def test_a_letter_has_its_four_views(send: Send, browser: FlaskClient) -> None:
    send(text="As text: https://example.org/x", html="<p>As HTML</p>")
    assert 'src="/letters/1/html"' in browser.get("/letters/1").text
    assert 'href="https://example.org/x"' in browser.get("/letters/1?tab=text").text
    assert "Content-Type: multipart/alternative" in browser.get("/letters/1?tab=source").text
    assert "Subject" in browser.get("/letters/1?tab=headers").text
    assert browser.get("/letters/2").status_code == 404


def test_a_letter_without_html_opens_on_its_text(send: Send, browser: FlaskClient) -> None:
    send(text="Only text")
    assert "Only text" in browser.get("/letters/1").text
    assert browser.get("/letters/1/html").status_code == 404


def test_the_html_of_a_letter_cannot_run_or_load_into_the_page(send: Send, browser: FlaskClient) -> None:
    send(html="<script>alert(1)</script><a href='https://example.org'>link</a>")
    policy = browser.get("/letters/1/html").headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert "<script>alert" not in browser.get("/letters/1").text
    assert '<base target="_blank">' in browser.get("/letters/1/html").text


def test_a_broken_letter_is_shown_as_far_as_it_goes(store: Store, page: Flask, browser: FlaskClient) -> None:
    from mailservice.inbox.store import Arrival

    sources = [
        b"",
        b"\x00\xff\xfe",
        b"Subject: =?utf-8?b?!!!?=\r\nContent-Type: text/html; charset=no-such\r\n\r\n\xff<b>x",
        b"Subject: =?no-such?q?x?=\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n",
        b"From: " + b"\xd0\xb0" * 10 + b"\r\nTo: <>\r\n\r\n",
    ]
    for number, source in enumerate(sources, start=1):
        store.add(Arrival("", ["a@b.example"], source)).result(10)
        for path in ("/", "/letters/{}", "/letters/{}?tab=headers", "/api/v1/message/{}"):
            assert browser.get(path.format(number)).status_code == 200


def test_the_source_can_be_saved_octet_for_octet(send: Send, store: Store, browser: FlaskClient) -> None:
    send()
    found = store.get(1)
    assert found is not None
    assert browser.get("/letters/1/source").data == found[1]


def test_nothing_on_the_pages_comes_from_elsewhere(send: Send, browser: FlaskClient) -> None:
    send(html="<p>x</p>")
    for path in ("/", "/letters/1"):
        page = browser.get(path)
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "https://" not in page.text
        assert 'style="' not in page.text


def test_the_page_speaks_the_browsers_language(send: Send, browser: FlaskClient) -> None:
    send(text="Hello")
    russian = {"Accept-Language": "ru"}
    assert "1 письмо" in browser.get("/", headers=russian).text
    assert " Б" in browser.get("/letters/1", headers=russian).text
    assert " byte" in browser.get("/letters/1", headers=ENGLISH).text
    missing = browser.get("/letters/9", headers=russian)
    assert (missing.status_code, "Здесь ничего нет" in missing.text) == (404, True)
