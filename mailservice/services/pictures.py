"""Pictures for messages: uploaded by a user, served to everybody who knows their unguessable names."""

from __future__ import annotations

from pathlib import Path, PurePath

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Image, Message, User
from mailservice.services import ids, images, pages, texts
from mailservice.services.images import Picture

MOST = 500  # of one user
LONGEST_TITLE = 200


def folder(images_path: Path) -> Path:
    """Where their files are."""
    return images_path / "messages"


def own(owner: User, image_id: int) -> Image:
    """The owner's picture, or NotFound."""
    query = select(Image).where(Image.id == image_id, Image.owner_id == owner.id)
    image = db.session.scalars(query).one_or_none() if ids.possible(image_id) else None
    if image is None:
        raise NotFound(_("There is no such picture."))
    return image


def search(owner: User, *, number: int = 1, size: int = 50) -> pages.Page[Image]:
    """The latest first."""
    query = select(Image).where(Image.owner_id == owner.id).order_by(Image.id.desc())
    return pages.fetch(query, number=number, size=size)


def check_room(owner: User) -> None:
    """Invalid beside “image” when the owner has as many as one may have."""
    count = db.session.scalar(select(func.count()).where(Image.owner_id == owner.id)) or 0
    if count >= MOST:
        message = ngettext(
            "You have %(num)d picture, and more are not possible. Delete those that you do not need.",
            "You have %(num)d pictures, and more are not possible. Delete those that you do not need.",
            count,
        )
        raise Invalid(message, field="image")


def add(owner: User, *, filename: str, title: str, picture: Picture, size: int) -> Image:
    """`filename` is what `images.store_for_letters` gave, `title` what the file was called."""
    image = Image(
        owner_id=owner.id,
        filename=filename,
        title=title_of(title),
        width=picture.width,
        height=picture.height,
        size=size,
    )
    db.session.add(image)
    db.session.flush()
    return image


def title_of(filename: str) -> str:
    """A file's name as words: what the picture may show."""
    stem = PurePath(filename.replace("\\", "/")).stem.replace("_", " ").replace("[", "(").replace("]", ")")
    return texts.search_words(stem)[:LONGEST_TITLE] or _("Picture")


def delete(image: Image) -> str:
    """The name of its file, which goes after the commit. Refused while a message shows it."""
    query = select(Message.subject).where(
        Message.owner_id == image.owner_id, Message.body.contains(image.filename, autoescape=True)
    )
    subject = db.session.scalar(query.limit(1))
    if subject is not None:
        raise Refused(_("The message “%(title)s” shows this picture. Take it out there first.", title=subject))
    db.session.execute(delete_rows(Image).where(Image.id == image.id))
    return image.filename


def files(owner: User) -> list[str]:
    """The names of all files of the owner: they go when he goes."""
    return list(db.session.scalars(select(Image.filename).where(Image.owner_id == owner.id)))


def remove(filenames: list[str], *, folder: Path) -> None:
    for filename in filenames:
        if images.is_file_name(filename):
            (folder / filename).unlink(missing_ok=True)
