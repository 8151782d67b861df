"""Posts as their editors see them: drafts and all. What readers see is in services.blog."""

from __future__ import annotations

from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from config import LANGUAGES
from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound
from mailservice.models import OldSlug, Post, User
from mailservice.services import access, ids, pages, slugs, texts
from mailservice.services.images import Picture

LONGEST_TITLE = 200
LONGEST_BODY = 200_000
LONGEST_ALT = 200


def check_editor(user: User) -> None:
    """For everybody else there is no such page."""
    if not access.may_write_posts(user):
        raise NotFound(_("There is no such page."))


def by_id(post_id: int, *, lock: bool = False) -> Post:
    query = select(Post).where(Post.id == post_id).options(joinedload(Post.author))
    query = query.with_for_update(of=Post) if lock else query
    post = db.session.scalars(query).one_or_none() if ids.possible(post_id) else None
    if post is None:
        raise NotFound(_("There is no such post."))
    return post


def search(*, words: str = "", number: int = 1, size: int = 50) -> pages.Page:
    """Drafts first, then the latest."""
    query = select(Post).options(joinedload(Post.author))
    if words:
        query = query.where(pages.matches(words, Post.title))
    query = query.order_by(Post.published_at.is_not(None), Post.published_at.desc(), Post.id.desc())
    return pages.fetch(query, number=number, size=size)


def is_public(now: datetime) -> ColumnElement[bool]:
    return and_(Post.published_at.is_not(None), Post.published_at <= now)


def create(
    author: User, *, title: str, slug: str, language: str, body: str, image_alt: str, published_at: datetime | None
) -> Post:
    """Without a slug of its own it gets one from the title. Invalid beside the field that is not acceptable."""
    post = Post(author_id=author.id, title=_title(title), body=_body(body), language=_language(language))
    post.image_alt = _alt(image_alt)
    post.published_at = published_at
    wanted = slugs.make(slug or title)
    post.slug = _free_slug(wanted, post, exactly=bool(slug.strip()))
    try:
        with db.session.begin_nested():
            db.session.add(post)
    except IntegrityError:  # somebody was quicker by a moment
        raise Invalid(_("Another post has this link. Save again."), field="slug") from None
    return post


def update(
    post: Post, *, title: str, slug: str, language: str, body: str, image_alt: str, published_at: datetime | None
) -> Post:
    """The slug changes only where another one is given, and links to the old one lead on."""
    post.title, post.body, post.language = _title(title), _body(body), _language(language)
    post.image_alt = _alt(image_alt)
    post.published_at = published_at
    wanted = slugs.make(slug) if slug.strip() else post.slug
    if wanted != post.slug:
        free = _free_slug(wanted, post, exactly=True)
        if returning := db.session.get(OldSlug, free):
            db.session.delete(returning)
        db.session.add(OldSlug(slug=post.slug, post_id=post.id))
        post.slug = free
    return post


def set_image(post: Post, picture: Picture | None) -> str | None:
    """Gives the post this picture, or none; returns the name of the one that nobody needs any more."""
    before = post.image
    post.image = picture.name if picture else None
    post.image_width = picture.width if picture else None
    post.image_height = picture.height if picture else None
    return before


def publish(post: Post) -> Post:
    """From now on everybody sees it; what is published already keeps its date."""
    now = clock.now()
    if post.published_at is None or post.published_at > now:
        post.published_at = now
    return post


def hide(post: Post) -> Post:
    """A draft again: nobody sees it but editors."""
    post.published_at = None
    return post


def delete(post: Post) -> str | None:
    """Returns the name of its picture, whose files are to go after the commit."""
    image = post.image
    db.session.delete(post)
    return image


def _free_slug(wanted: str, post: Post, *, exactly: bool) -> str:
    """`wanted`, or with the first number that makes it free; Invalid where it was asked for exactly."""
    like = f"{wanted}-%"
    taken = set(db.session.scalars(select(Post.slug).where(or_(Post.slug == wanted, Post.slug.like(like)))))
    old = select(OldSlug.slug).where(or_(OldSlug.slug == wanted, OldSlug.slug.like(like)))
    taken |= set(db.session.scalars(old.where(OldSlug.post_id != (post.id or 0))))
    if wanted not in taken:
        return wanted
    if exactly:
        raise Invalid(_("Another post has this link, or had it."), field="slug")
    number = 2
    while f"{wanted}-{number}" in taken:
        number += 1
    return f"{wanted}-{number}"


def _title(text: str) -> str:
    return texts.required(texts.one_line(text, field="title", longest=LONGEST_TITLE), field="title")


def _body(text: str) -> str:
    return texts.required(texts.many_lines(text, field="body", longest=LONGEST_BODY), field="body")


def _alt(text: str) -> str:
    return texts.one_line(text, field="image_alt", longest=LONGEST_ALT)


def _language(name: str) -> str:
    if name not in LANGUAGES:
        raise Invalid(_("There is no such language."), field="language")
    return name
