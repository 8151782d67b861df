"""The public face: what is seen, what is not, what search engines read, and that a hit asks the database nothing."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from mailservice import clock
from mailservice.database import transaction
from mailservice.models import MailingStatus, Post
from mailservice.services import blog
from tests import factories, queries

PUBLIC = ("/", "/blog", "/blog/feed.xml", "/sitemap.xml", "/robots.txt")


class Head(HTMLParser):
    """What stands in a page for those who do not look at it."""

    def __init__(self, page: str):
        super().__init__()
        self.metas: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.images: list[dict[str, str | None]] = []
        self.headings: list[str] = []
        self.json = ""
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.inside = tag
        if tag == "meta" and (name := values.get("name") or values.get("property")):
            self.metas[name] = values["content"]
        elif tag == "link":
            self.links[values["rel"]] = values["href"]
        elif "srcset" in values:
            self.images.append(values)
        elif tag == "h1":
            self.headings.append("")
        elif tag == "script" and values.get("type") == "application/ld+json":
            self.inside = "json"

    def handle_data(self, data):
        if self.inside == "json":
            self.json += data
        elif self.inside == "h1":
            self.headings[-1] += data

    def handle_endtag(self, tag):
        self.inside = ""

    @property
    def graph(self):
        return {thing["@type"]: thing for thing in json.loads(self.json)["@graph"]}


@pytest.fixture
def post(app):
    author = factories.user(full_name="Анна Соколова")
    return factories.blog_post(
        author,
        title="Письма & «ответы» </script>",
        slug="pisma-i-otvety",
        language="ru",
        body="# Раз\n\nПервый **абзац** письма.\n\n<script>alert(1)</script>",
        image="0123456789abcdef0123",
        image_width=1600,
        image_height=900,
        image_alt="Почтовый ящик",
    )


def test_a_post_says_what_it_is_to_people_and_to_search_engines(browser, post):
    answer = browser.get("/blog/pisma-i-otvety", headers={"Host": "localhost"})
    head = Head(answer.text)
    address = "http://127.0.0.1:8000/blog/pisma-i-otvety"
    assert head.links["canonical"] == head.metas["og:url"] == address
    assert head.metas["description"] == head.metas["og:description"] == "Первый абзац письма. <script>alert(1)</script>"
    assert head.metas["og:title"] == post.title
    assert head.metas["og:type"] == "article"
    assert head.metas["og:image"] == "http://127.0.0.1:8000/blog/images/0123456789abcdef0123-1600.jpg"
    assert head.metas["article:published_time"] == post.published_at.isoformat()
    story = head.graph["BlogPosting"]
    assert story["headline"] == post.title
    assert story["author"] == {"@type": "Person", "name": "Анна Соколова"}
    assert story["datePublished"] == post.published_at.isoformat()
    assert story["inLanguage"] == "ru"
    assert head.graph["BreadcrumbList"]["itemListElement"][1]["item"] == address
    assert [heading.strip() for heading in head.headings] == [post.title]
    assert "localhost" not in answer.text
    assert "<script>alert" not in answer.text
    assert 'lang="ru"' in answer.text


def test_pictures_come_in_sizes_and_in_webp(browser, post):
    images = Head(browser.get("/blog/pisma-i-otvety").text).images
    webp, jpeg = images[:2]
    assert webp["type"] == "image/webp"
    for image, ending in ((webp, "webp"), (jpeg, "jpg")):
        sizes = ", ".join(f"/blog/images/0123456789abcdef0123-{w}.{ending} {w}w" for w in (480, 960, 1600))
        assert image["srcset"] == sizes
    assert (jpeg["width"], jpeg["height"], jpeg["alt"]) == ("1600", "900", "Почтовый ящик")


def test_a_picture_is_public_and_kept_for_ever_by_browsers(app, browser):
    folder = app.config["SETTINGS"].images_path
    folder.mkdir()
    (folder / f"{'a' * 20}-480.webp").write_bytes(b"picture")
    answer = factories.sign_in(browser, factories.user()).get(f"/blog/images/{'a' * 20}-480.webp")
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "image/webp", b"picture")
    assert {"public", "immutable", "max-age=31536000"} <= set(answer.headers["Cache-Control"].split(", "))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "name", ["..%2Fsecret_key", "secret_key", f"{'b' * 20}-480.webp", f"{'a' * 20}-480.svg", "%00"]
)
def test_nothing_else_is_served_beside_the_pictures(app, browser, name):
    (app.config["SETTINGS"].instance_path / "secret_key").write_text("secret")
    answer = browser.get(f"/blog/images/{name}")
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("Cache-Control", "")


def test_drafts_and_the_future_are_404_and_in_no_list(browser, app):
    for title, at in (("A draft", None), ("The future", clock.now() + timedelta(hours=1))):
        factories.blog_post(title=title, slug=title.lower().replace(" ", "-"), published_at=at)
    for path in (
        "/blog/a-draft",
        "/blog/the-future",
        "/blog/nobody",
        "/blog/%D0%B6",
        "/blog/A-Draft",
        "/blog/" + "x" * 9000,
    ):
        assert browser.get(path).status_code == 404
    for path in PUBLIC:
        page = browser.get(path).text
        assert "raft" not in page
        assert "The future" not in page


def test_an_old_link_leads_on_for_good(browser, app):
    editor = factories.sign_in(app.test_client(), factories.user(is_editor=True))
    post = factories.blog_post(slug="before")
    form = {"title": "t", "slug": "afterwards", "language": "en", "body": "b", "visible": "now"}
    assert factories.post(editor, f"/posts/{post.id}/edit", form).status_code == 302
    answer = browser.get("/blog/before")
    assert (answer.status_code, answer.location) == (301, "/blog/afterwards")


def test_the_list_has_pages_with_links_of_their_own(browser, app):
    with transaction() as session:
        for n in range(30):
            at = clock.now() - timedelta(days=n)
            session.add(Post(title=f"Post {n:02}", slug=f"post-{n}", body="b", language="en", published_at=at))
    first, second = Head(browser.get("/blog?utm_source=x").text), Head(browser.get("/blog?page=2").text)
    last = browser.get("/blog?page=99").text
    assert first.links["canonical"] == "http://127.0.0.1:8000/blog"
    assert second.links["canonical"] == "http://127.0.0.1:8000/blog?page=2"
    assert second.links["prev"] == "http://127.0.0.1:8000/blog"
    assert second.links["next"] == "http://127.0.0.1:8000/blog?page=3"
    assert re.findall(r"Post \d\d</a>", last) == [f"Post {n}</a>" for n in range(24, 30)]
    assert first.graph["Blog"]["blogPost"][0]["headline"] == "Post 00"
    assert "/blog?page=3</loc>" in browser.get("/sitemap.xml").text


def test_the_home_page_shows_the_numbers_of_all_owners_and_three_posts(browser, app):
    for owner in (factories.user(), factories.user()):
        client = factories.client(owner, email="same@example.org")
        factories.mailing(owner, clients=[client], status=MailingStatus.RUNNING)
        factories.mailing(owner, clients=[client], status=MailingStatus.FINISHED)
    for _ in range(5):
        factories.blog_post()
    for visitor in (browser, factories.sign_in(app.test_client(), factories.user())):
        page = visitor.get("/").text
        assert re.findall(r"<dd>(\d+)</dd>", page) == ["4", "2", "1"]
        assert len(set(re.findall(r'href="/blog/(how-letters[^"]*)"', page))) == 3
    head = Head(browser.get("/").text)
    assert head.links["canonical"] == "http://127.0.0.1:8000/"
    assert head.graph["WebSite"]["url"] == "http://127.0.0.1:8000/"
    assert len(head.headings) == 1


def test_a_second_visit_asks_the_database_nothing(browser, post):
    paths = (*PUBLIC, "/blog/pisma-i-otvety", "/blog?page=1")
    for path in paths:
        browser.get(path)
    with queries.counted() as statements:
        for path in paths:
            assert browser.get(path).status_code == 200
    assert statements == []


def test_a_change_shows_at_once_everywhere(browser, app, post):
    post_id = post.id
    editor = factories.sign_in(app.test_client(), factories.user(is_editor=True))
    pages = ("/", "/blog", "/blog/feed.xml", "/blog/pisma-i-otvety")
    form = {"title": "Новое имя", "slug": "", "language": "ru", "body": "Новый текст.", "visible": "now"}

    def shows(words):
        return [words in browser.get(path).text for path in pages]

    assert shows("Первый абзац") == [True] * 4
    factories.post(editor, f"/posts/{post_id}/edit", form)
    assert shows("Первый абзац") == [False] * 4
    assert shows("Новый текст") == [True] * 4
    factories.post(editor, f"/posts/{post_id}/hide")
    assert shows("Новый текст") == [False] * 4
    assert "pisma-i-otvety" not in browser.get("/sitemap.xml").text
    factories.post(editor, f"/posts/{post_id}/publish")
    assert shows("Новый текст") == [True] * 4
    factories.post(editor, f"/posts/{post_id}/delete")
    assert shows("Новый текст") == [False] * 4


def test_a_changed_mailing_shows_at_once_in_the_numbers(browser, app):
    owner = factories.user()
    mailing = factories.mailing(owner, status=MailingStatus.RUNNING)
    signed_in = factories.sign_in(app.test_client(), owner)

    def numbers():
        return re.findall(r"<dd>(\d+)</dd>", browser.get("/").text)

    assert numbers() == ["1", "1", "1"]
    factories.post(signed_in, f"/mailings/{mailing.id}/pause")
    assert numbers() == ["1", "0", "1"]
    factories.post(signed_in, "/clients/new", {"email": "second@example.org", "full_name": "", "comment": ""})
    assert numbers() == ["1", "0", "2"]
    factories.post(signed_in, f"/mailings/{mailing.id}/delete")
    assert numbers() == ["0", "0", "2"]


def test_nothing_of_one_person_reaches_another(browser, app, post):
    """Not in what is kept, nor in headers: names, tokens, cookies, languages and hosts."""
    paths = (*PUBLIC, "/blog/pisma-i-otvety")
    secret = factories.sign_in(
        app.test_client(), factories.user(email="secret@example.org", full_name="Secret Person", is_editor=True)
    )
    factories.mailing(factories.user(email="owner@example.org"), title="A secret mailing")
    for path in paths:
        secret.get(path, headers={"Host": "localhost", "Accept-Language": "ru", "X-Forwarded-Host": "evil.example"})
    tokens = set()
    for person in (browser, app.test_client(), factories.sign_in(app.test_client(), factories.user())):
        for path in paths:
            answer = person.get(path, headers={"Accept-Language": "en"})
            for word in ("ecret", "evil.example", "localhost", "owner@example.org", 'href="/posts'):
                assert word not in answer.text, path
            if answer.mimetype == "text/html":
                assert '<html lang="en"' in answer.text
                tokens.add(re.findall(r'name="csrf_token" value="([^".]+)', answer.text)[0])
            else:
                assert "Set-Cookie" not in answer.headers
    assert len(tokens) == 3  # each has one of his own
    for path in paths[:2]:
        assert secret.get(path).headers["Cache-Control"] == "private, no-store"
        assert 'lang="ru"' in secret.get(path, headers={"Accept-Language": "ru"}).text


def test_what_is_kept_holds_nothing_of_any_person(browser, app, post, redis):
    person = factories.user(email="secret@example.org", full_name="Secret Person")
    for path in (*PUBLIC, "/blog/pisma-i-otvety"):
        factories.sign_in(app.test_client(), person).get(path)
        browser.get(path)
    kept = b"".join(redis.get(key) for key in redis.keys("mailservice:cache:*"))
    assert "Первый".encode() in kept or b"\\u041f\\u0435\\u0440\\u0432\\u044b\\u0439" in kept
    for word in (b"csrf", b"secret", b"Secret", b"session", b"http://"):
        assert word not in kept


def test_each_page_keeps_to_the_strict_policy(browser, post):
    for path in ("/", "/blog", "/blog/pisma-i-otvety"):
        page = browser.get(path)
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "style=" not in page.text
        assert "onclick" not in page.text


def test_an_author_who_is_gone_leaves_the_post(browser, post):
    with transaction() as session:
        session.delete(session.get(type(post.author), post.author_id))
    answer = browser.get("/blog/pisma-i-otvety")
    assert answer.status_code == 200
    assert "Соколова" not in answer.text
    assert Head(answer.text).graph["BlogPosting"]["author"]["@type"] == "Organization"


def test_an_empty_blog_says_so(browser):
    assert browser.get("/").status_code == 200
    assert "Nothing to read yet" in browser.get("/blog").text
    assert blog.count() == 0
