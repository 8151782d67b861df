import io

import pytest
from PIL import Image as Drawing

from mailservice.database import transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.services import images, pictures
from mailservice.services.images import Picture
from tests import factories


@pytest.fixture
def owner(app):
    return factories.user()


def add(owner, filename="0" * 20 + "-480.jpg", title="a cup.jpg"):
    with transaction():
        return pictures.add(owner, filename=filename, title=title, picture=Picture("0" * 20, 480, 320), size=2048)


def encoded(kind="JPEG", size=(2400, 1600), mode="RGB") -> bytes:
    buffer = io.BytesIO()
    Drawing.new(mode, size, "teal").save(buffer, kind)
    return buffer.getvalue()


def test_a_picture_is_its_owners_alone(owner):
    image = add(owner)
    assert pictures.own(owner, image.id).title == "a cup"
    assert pictures.search(owner).total == 1
    stranger = factories.user()
    assert pictures.search(stranger).total == 0
    for image_id in (image.id, 0, 2**80):
        with pytest.raises(NotFound):
            pictures.own(stranger, image_id)


def test_a_picture_that_a_message_shows_is_not_deleted(owner):
    image = add(owner)
    message = factories.message(owner, subject="Cups", body=f"![x](https://x.example/{image.filename})")
    with pytest.raises(Refused, match="“Cups”"), transaction():
        pictures.delete(pictures.own(owner, image.id))
    with transaction() as session:
        session.delete(session.merge(message))
        assert pictures.delete(pictures.own(owner, image.id)) == image.filename
    assert pictures.search(owner).total == 0


def test_there_is_room_for_so_many(owner, monkeypatch):
    monkeypatch.setattr(pictures, "MOST", 1)
    pictures.check_room(owner)
    add(owner)
    with pytest.raises(Invalid) as error:
        pictures.check_room(owner)
    assert error.value.field == "image"


@pytest.mark.parametrize(
    ("filename", "title"),
    [
        ("Summer_cup.JPG", "Summer cup"),
        ("C:\\photos\\cup.png", "cup"),
        ("a]b[c\x00.png", "a)b(c"),
        ("../../etc/passwd", "passwd"),
        ("", "Picture"),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_files_name_becomes_words(app, filename, title):
    with app.test_request_context():
        assert pictures.title_of(filename) == title


@pytest.mark.parametrize(("mode", "ending", "kind"), [("RGB", "jpg", "JPEG"), ("RGBA", "png", "PNG")])
def test_letters_get_one_file_that_every_mail_program_shows(app, tmp_path, mode, ending, kind):
    data = encoded("PNG", mode=mode)
    filename, picture = images.store_for_letters(data, filename="a.png", folder=tmp_path)
    assert images.is_file_name(filename)
    assert filename.endswith(f"-1200.{ending}")
    assert (picture.width, picture.height) == (1200, 800)
    assert [path.name for path in tmp_path.iterdir()] == [filename]
    with Drawing.open(tmp_path / filename) as drawn:
        assert drawn.format == kind
    pictures.remove([filename, "../secret_key"], folder=tmp_path)
    assert not list(tmp_path.iterdir())
