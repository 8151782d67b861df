from __future__ import annotations

from datetime import datetime, timedelta
from xml.etree import ElementTree

from mailservice import clock
from tests import factories

ATOM = "{http://www.w3.org/2005/Atom}"
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


def test_the_feed_is_atom_with_all_that_it_must_have(browser, app):
    author = factories.user(full_name="Anna <Petrova>")
    for n in range(25):
        at = clock.now() - timedelta(days=n)
        factories.blog_post(author, title=f"Post {n} & <more>", body="*Text* ]]> & <b>", published_at=at)
    answer = browser.get("/blog/feed.xml", headers={"Host": "localhost"})
    assert answer.mimetype == "application/atom+xml"
    feed = ElementTree.fromstring(answer.data)
    entries = feed.findall(f"{ATOM}entry")
    assert feed.findtext(f"{ATOM}id") == "http://127.0.0.1:8000/blog"
    assert {link.get("rel"): link.get("href") for link in feed.findall(f"{ATOM}link")} == {
        "self": "http://127.0.0.1:8000/blog/feed.xml",
        "alternate": "http://127.0.0.1:8000/blog",
    }
    assert len(entries) == 20
    assert len({entry.findtext(f"{ATOM}id") for entry in entries}) == 20
    first = entries[0]
    assert first.findtext(f"{ATOM}title") == "Post 0 & <more>"
    assert first.findtext(f"{ATOM}author/{ATOM}name") == "Anna <Petrova>"
    assert first.findtext(f"{ATOM}content") == "<p><em>Text</em> ]]&gt; &amp; &lt;b&gt;</p>\n"
    assert first.find(f"{ATOM}content").get("type") == "html"
    assert first.find(f"{ATOM}link").get("href").startswith("http://127.0.0.1:8000/blog/how-letters-arrive")
    for where, name in ((feed, "updated"), (first, "updated"), (first, "published")):
        assert datetime.fromisoformat(where.findtext(f"{ATOM}{name}")).tzinfo


def test_an_empty_feed_is_a_feed(browser):
    feed = ElementTree.fromstring(browser.get("/blog/feed.xml").data)
    assert feed.findtext(f"{ATOM}updated")
    assert feed.findall(f"{ATOM}entry") == []


def test_the_feed_speaks_one_language_whoever_asks(browser):
    ru, en = (browser.get("/blog/feed.xml", headers={"Accept-Language": name}).data for name in ("ru", "en"))
    assert ElementTree.fromstring(ru).findtext(f"{ATOM}title") == ElementTree.fromstring(en).findtext(f"{ATOM}title")


def test_whoever_has_the_feed_is_told_so(browser, app):
    factories.blog_post()
    first = browser.get("/blog/feed.xml")
    assert "public" in first.headers["Cache-Control"]
    again = browser.get("/blog/feed.xml", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_sitemap_lists_every_public_page_under_its_public_address(browser, app):
    post = factories.blog_post()
    factories.blog_post(published_at=None)
    sitemap = ElementTree.fromstring(browser.get("/sitemap.xml", headers={"Host": "localhost"}).data)
    assert [loc.text for loc in sitemap.iter(f"{MAP}loc")] == [
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000/blog",
        f"http://127.0.0.1:8000/blog/{post.slug}",
    ]
    assert datetime.fromisoformat(sitemap.find(f"{MAP}url/{MAP}lastmod").text).tzinfo


def test_robots_are_told_where_to_go_and_where_not(browser):
    text = browser.get("/robots.txt", headers={"Host": "localhost"}).text
    assert "Sitemap: http://127.0.0.1:8000/sitemap.xml" in text
    assert "Disallow: /clients" in text
    assert "Disallow: /blog" not in text
