"""The editors' desk: who may enter, and what writing, previewing, publishing and pictures do."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db
from mailservice.models import Post, Role
from tests import factories

FORM = {"title": "Чистый список", "slug": "", "language": "ru", "body": "Текст **письма**.", "visible": "draft"}


@pytest.fixture
def editor(app, browser):
    person = factories.user(is_editor=True, time_zone="Europe/Moscow")
    factories.sign_in(browser, person)
    return person


def picture(kind="PNG", name="a.png", size=(700, 300)):
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind)
    buffer.seek(0)
    return buffer, name


def only_post() -> Post:
    db.session.rollback()
    return db.session.scalars(select(Post)).one()


def files(app) -> set[str]:
    return {path.name for path in app.config["SETTINGS"].images_path.glob("*")}


@pytest.mark.parametrize("values", [{}, {"role": Role.MANAGER}])
def test_for_others_there_is_no_desk(browser, values):
    post = factories.blog_post()
    path = f"/posts/{post.id}"
    factories.sign_in(browser, factories.user(**values))
    assert 'href="/posts"' not in browser.get("/clients").text
    for address in ("/posts", "/posts/new", path, f"{path}/edit"):
        assert browser.get(address).status_code == 404
    for act in ("/posts/new", f"{path}/edit", f"{path}/publish", f"{path}/hide", f"{path}/delete"):
        assert factories.post(browser, act, FORM).status_code == 404
    assert only_post().published_at


@pytest.mark.parametrize("values", [{"role": Role.ADMIN}, {"is_editor": True}])
def test_administrators_and_editors_edit_the_posts_of_all(browser, values):
    post = factories.blog_post(factories.user())
    factories.sign_in(browser, factories.user(**values))
    assert 'href="/posts"' in browser.get("/clients").text
    assert post.title in browser.get("/posts").text
    assert factories.post(browser, f"/posts/{post.id}/edit", FORM).status_code == 302
    assert only_post().title == "Чистый список"


def test_a_right_that_is_taken_away_is_gone_with_the_next_page(browser, editor):
    assert browser.get("/posts").status_code == 200
    with factories.transaction() as session:
        session.get(type(editor), editor.id).is_editor = False
    assert browser.get("/posts").status_code == 404


def test_a_draft_is_written_seen_by_editors_and_published(browser, app, editor):
    answer = factories.post(browser, "/posts/new", FORM)
    post = only_post()
    assert answer.location == f"/posts/{post.id}"
    assert (post.slug, post.author_id, post.published_at) == ("chistyy-spisok", editor.id, None)
    assert "<strong>письма</strong>" in browser.get(answer.location).text
    assert browser.get("/blog/chistyy-spisok").status_code == 404
    factories.post(browser, f"/posts/{post.id}/publish")
    assert app.test_client().get("/blog/chistyy-spisok").status_code == 200


def test_a_preview_shows_the_text_and_saves_nothing(browser, editor):
    answer = factories.post(browser, "/posts/new", FORM | {"preview": "1", "body": "**now** <script>"})
    assert answer.status_code == 200
    assert "<strong>now</strong> &lt;script&gt;" in answer.text
    assert "**now**" in answer.text
    assert db.session.scalars(select(Post)).all() == []


def test_a_date_to_come_is_a_date_in_the_editors_zone(browser, editor):
    values = {"visible": "at", "date": "2099-05-01", "time": "10:30"}
    factories.post(browser, "/posts/new", FORM | values)
    post = only_post()
    assert post.published_at == datetime(2099, 5, 1, 7, 30, tzinfo=UTC)
    page = browser.get(f"/posts/{post.id}/edit").text
    assert 'value="2099-05-01"' in page
    assert 'value="10:30"' in page


def test_saving_anew_keeps_the_moment_of_publishing_to_the_second(browser, editor):
    at = clock.now() - timedelta(days=3)
    post = factories.blog_post(published_at=at)
    local = at + timedelta(hours=3)
    form = FORM | {"visible": "at", "date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M}"}
    factories.post(browser, f"/posts/{post.id}/edit", form)
    assert only_post().published_at == at


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"title": ""}, "cannot be empty"),
        ({"body": ""}, "cannot be empty"),
        ({"title": "x" * 201}, "too long"),
        ({"visible": "at", "date": ""}, "Enter a date"),
        ({"visible": "at", "date": "soon"}, "Not a valid date"),
        ({"visible": "whenever"}, "Not a valid choice"),
        ({"language": "fr"}, "Not a valid choice"),
        ({"slug": "taken"}, "Another post has this link"),
        ({"image": picture("GIF", "a.gif")}, "not a picture"),
        ({"image": (io.BytesIO(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "a.svg")}, "SVG is not possible"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_the_text_is_kept(browser, app, editor, values, words):
    factories.blog_post(slug="taken")
    if "image" in values:
        stream, name = values["image"]
        values = {"image": (io.BytesIO(stream.getvalue()), name)}
    answer = factories.post(browser, "/posts/new", FORM | {"image_alt": "Как было"} | values)
    assert answer.status_code == 422
    assert words in answer.text
    assert "invalid-feedback" in answer.text
    assert "Как было" in answer.text
    assert only_post().slug == "taken"
    assert files(app) == set()


def test_a_picture_comes_is_replaced_and_goes_with_its_files(browser, app, editor):
    factories.post(browser, "/posts/new", FORM | {"image": picture(), "visible": "now", "image_alt": "Сине-зелёное"})
    post = only_post()
    first = post.image
    assert (post.image_width, post.image_height, post.image_alt) == (700, 300, "Сине-зелёное")
    assert files(app) == {f"{first}-{w}.{e}" for w in (480, 700) for e in ("webp", "jpg")}
    assert browser.get(f"/blog/images/{first}-700.webp").status_code == 200
    assert f"{first}-700.jpg" in browser.get("/blog/chistyy-spisok").text

    factories.post(browser, f"/posts/{post.id}/edit", FORM | {"body": "Другое."})
    assert only_post().image == first
    factories.post(browser, f"/posts/{post.id}/edit", FORM | {"image": picture("JPEG", "b.jpg")})
    second = only_post().image
    assert second != first
    assert files(app) == {f"{second}-{w}.{e}" for w in (480, 700) for e in ("webp", "jpg")}

    factories.post(browser, f"/posts/{post.id}/edit", FORM | {"remove_image": "y"})
    assert only_post().image is None
    assert files(app) == set()
    factories.post(browser, f"/posts/{post.id}/edit", FORM | {"image": picture()})
    factories.post(browser, f"/posts/{post.id}/delete")
    assert files(app) == set()


def test_a_picture_whose_post_is_refused_leaves_no_files(browser, app, editor):
    factories.blog_post(slug="taken")
    answer = factories.post(browser, "/posts/new", FORM | {"slug": "taken", "image": picture()})
    assert answer.status_code == 422
    assert files(app) == set()


def test_posts_are_found_by_title(browser, editor):
    factories.blog_post(title="One thing")
    factories.blog_post(title="Другое дело", published_at=None)
    page = browser.get("/posts?q=другое").text
    assert "Другое дело" in page
    assert "One thing" not in page
    assert "Nothing found" in browser.get("/posts?q=zzz").text


def test_a_form_that_is_out_of_date_undoes_nothing_before_it_is_sent_again(browser, editor):
    """Somebody has hidden the post while another mends a comma."""
    post = factories.blog_post(published_at=clock.now() - timedelta(days=1))
    path = f"/posts/{post.id}"
    form = FORM | {"visible": "now"}
    first = form | {"changed_at": shown_in(browser.get(f"{path}/edit"))}
    factories.post(browser, f"{path}/hide")
    page = factories.post(browser, f"{path}/edit", first | {"title": "A comma, mended"})
    assert page.status_code == 422
    assert "has been changed meanwhile" in page.text
    assert "A comma, mended" in page.text
    assert only_post().published_at is None
    again = form | {"changed_at": shown_in(page)}
    assert factories.post(browser, f"{path}/edit", again).location == path
    assert only_post().published_at


def shown_in(page):
    return re.search(r'name="changed_at"[^>]* value="([^"]+)"', page.text)[1]
