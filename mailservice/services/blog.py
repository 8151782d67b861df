"""The blog as its readers see it: what is published by now, as plain values that a cache may keep.

A card is what lists show of a post: id, title, slug, language, summary, minutes, views, image, published_at,
updated_at, author and author_id.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import joinedload

from mailservice import clock
from mailservice.database import db
from mailservice.errors import NotFound
from mailservice.models import OldSlug, Post
from mailservice.services import images, prose, related
from mailservice.services.posts import is_public

Card = dict[str, Any]
PAGE = 12
IN_FEED = 20
ON_HOME = 3
IN_SITEMAP = 50_000


def seconds_until_change(longest: int) -> int:
    """How long what is public now stays so: until the next post's time comes, and at most `longest` seconds."""
    now = clock.now()
    following = db.session.scalar(select(func.min(Post.published_at)).where(Post.published_at > now))
    return longest if following is None else min(longest, int((following - now).total_seconds()))


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(Post).where(is_public(clock.now()))) or 0


def page(number: int) -> list[Card]:
    """The cards of one page of the list, the latest first."""
    query = _public().order_by(Post.published_at.desc(), Post.id.desc())
    return _cards(query.limit(PAGE).offset((number - 1) * PAGE))


def choice(language: str) -> list[Card]:
    """Some posts by chance; those in other languages only where there are too few in this one."""
    query = select(Post.id).where(is_public(clock.now()))
    chosen = db.session.scalars(query.order_by(Post.language != language, func.random()).limit(ON_HOME)).all()
    cards = {card["id"]: card for card in _cards(_public().where(Post.id.in_(chosen)))}
    return [cards[post_id] for post_id in chosen if post_id in cards]


def article(slug: str) -> dict[str, Any]:
    """A whole post: `card`, `html`, `related`, and its neighbours in time, `before` and `after`; or NotFound."""
    post = db.session.scalars(_public().where(Post.slug == slug)).one_or_none()
    if post is None:
        raise NotFound(_("There is no such post."))
    return whole(post)


def whole(post: Post) -> dict[str, Any]:
    """The same for a post that may not be public yet."""
    at = post.published_at or clock.now()
    earlier = or_(Post.published_at < at, and_(Post.published_at == at, Post.id < post.id))
    later = or_(Post.published_at > at, and_(Post.published_at == at, Post.id > post.id))
    before = _public().where(earlier, Post.id != post.id).order_by(Post.published_at.desc(), Post.id.desc())
    after = _public().where(later, Post.id != post.id).order_by(Post.published_at, Post.id)
    return {
        "card": card(post),
        "html": prose.to_html(post.body),
        "related": _related(post),
        "before": next(iter(_cards(before.limit(1))), None),
        "after": next(iter(_cards(after.limit(1))), None),
    }


def moved_to(slug: str) -> str | None:
    """The slug of the post that had this one before, when it is public."""
    query = select(Post.slug).join(OldSlug, OldSlug.post_id == Post.id)
    return db.session.scalar(query.where(OldSlug.slug == slug, is_public(clock.now())))


def feed() -> list[dict[str, Any]]:
    """The latest posts as {"card", "html"}."""
    posts = db.session.scalars(_public().order_by(Post.published_at.desc(), Post.id.desc()).limit(IN_FEED))
    return [{"card": card(post), "html": prose.to_html(post.body)} for post in posts]


def addresses() -> list[tuple[str, datetime]]:
    """(slug, when it changed last) of every public post, for the sitemap."""
    query = select(Post.slug, Post.updated_at, Post.published_at).where(is_public(clock.now()))
    rows = db.session.execute(query.order_by(Post.published_at.desc(), Post.id.desc()).limit(IN_SITEMAP))
    return [(row.slug, max(row.updated_at, row.published_at)) for row in rows]


def card(post: Post) -> Card:
    return {
        "id": post.id,
        "title": post.title,
        "slug": post.slug,
        "language": post.language,
        "summary": prose.summary(post.body),
        "minutes": prose.minutes(post.body),
        "views": post.views,
        "image": _image(post),
        "published_at": post.published_at,
        "updated_at": post.updated_at,
        "author": post.author.full_name if post.author else "",
        "author_id": post.author_id,
    }


def _image(post: Post) -> dict[str, Any] | None:
    if not (post.image and post.image_width and post.image_height):
        return None
    return {
        "name": post.image,
        "width": post.image_width,
        "height": post.image_height,
        "widths": images.widths(post.image_width),
        "alt": post.image_alt,
    }


def _related(post: Post) -> list[Card]:
    """Those that speak most of the same things, in the same language."""
    query = select(Post.id, Post.title, Post.body).where(is_public(clock.now()), Post.language == post.language)
    latest = query.where(Post.id != post.id).order_by(Post.published_at.desc()).limit(related.LOOKED_AT)
    others = {row.id: f"{row.title} {row.title} {row.body}" for row in db.session.execute(latest)}
    nearest = related.nearest(f"{post.title} {post.title} {post.body}", others)
    cards = {card["id"]: card for card in _cards(_public().where(Post.id.in_(nearest)))}
    return [cards[post_id] for post_id in nearest if post_id in cards]


def _public() -> Select[Post]:
    return select(Post).where(is_public(clock.now())).options(joinedload(Post.author))


def _cards(query: Select[Post]) -> list[Card]:
    return [card(post) for post in db.session.scalars(query)]
