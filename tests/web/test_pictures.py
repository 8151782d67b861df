"""Pictures for messages: uploaded, shown to the world, deleted, gone with their owner."""

import io

import pytest
from PIL import Image as Drawing
from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Image
from tests import factories
from tests.factories import PASSWORD, post


def picture() -> io.BytesIO:
    buffer = io.BytesIO()
    Drawing.new("RGB", (64, 40), "teal").save(buffer, "JPEG")
    buffer.seek(0)
    return buffer


def upload(browser, name="A cup.jpg", data=None, query=""):
    return post(browser, f"/messages/images{query}", {"image": (data or picture(), name)})


def all_images():
    return db.session.scalars(select(Image)).all()


def files(settings):
    return sorted(path.name for path in (settings.images_path / "messages").glob("*"))


def test_a_picture_is_uploaded_and_everybody_may_fetch_it_for_ever(app, signed_in, settings):
    assert upload(signed_in).location == "/messages/images"
    (image,) = all_images()
    page = signed_in.get("/messages/images").text
    assert f"![A cup]({settings.public_url}/messages/images/{image.filename})" in page
    answer = app.test_client().get(f"/messages/images/{image.filename}")
    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in answer.headers


def test_a_script_gets_the_address_or_the_reason(signed_in, settings):
    assert f'data-url="{settings.public_url}/messages/images/' in upload(signed_in, query="?part=1").text
    refused = upload(signed_in, data=io.BytesIO(b"<html>"), query="?part=1")
    assert refused.status_code == 422
    assert "not a picture" in refused.text


@pytest.mark.parametrize("data", [b"", b"<svg onload=x>", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_refused_beside_the_field(signed_in, settings, data):
    page = upload(signed_in, data=io.BytesIO(data))
    assert page.status_code == 422
    assert "invalid-feedback" in page.text
    assert (all_images(), files(settings)) == ([], [])


@pytest.mark.parametrize("name", ["../../secret_key", "x.jpg", "0" * 20 + "-1.jpg", "..%2f..%2fsecret_key"])
def test_nothing_but_pictures_is_served(browser, name):
    assert browser.get(f"/messages/images/{name}").status_code in (302, 404)


def test_a_picture_is_deleted_with_its_file_unless_a_message_shows_it(signed_in, owner, settings):
    upload(signed_in)
    (image,) = all_images()
    message = factories.message(owner, subject="Cups", body=f"![x](https://x.example/{image.filename})")
    page = post(signed_in, f"/messages/images/{image.id}/delete", follow_redirects=True)
    assert "“Cups” shows this picture" in page.text
    assert files(settings) == [image.filename]
    post(signed_in, f"/messages/{message.id}/delete")
    post(signed_in, f"/messages/images/{image.id}/delete")
    assert (all_images(), files(settings)) == ([], [])


def test_somebody_elses_picture_is_not_listed_and_not_deleted(signed_in, settings):
    stranger = factories.sign_in(signed_in.application.test_client(), factories.user())
    upload(stranger)
    (image,) = all_images()
    assert image.filename not in signed_in.get("/messages/images").text
    assert post(signed_in, f"/messages/images/{image.id}/delete").status_code == 404
    assert files(settings) == [image.filename]


def test_pictures_go_with_the_account(signed_in, settings):
    upload(signed_in)
    assert len(files(settings)) == 1
    post(signed_in, "/account/delete", {"current_password": PASSWORD})
    assert (all_images(), files(settings)) == ([], [])
