"""What the public pages keep for a while, each thing under a name that says all it depends on."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from flask_babel import gettext as _

from mailservice.caching import SECONDS, Topic, remembered
from mailservice.errors import NotFound
from mailservice.services import blog, figures
from mailservice.services.blog import Card

SLUG = re.compile(r"[a-z0-9-]{1,220}")
POSTS = (Topic.POSTS,)
A_MINUTE = 60  # a new choice every minute; and the engine finishes mailings without telling the cache


def numbers() -> dict[str, int]:
    """`total` and `active` mailings, and different `clients`."""
    mailings = remembered("mailings", figures.mailings, topics=[Topic.MAILINGS], seconds=lambda: A_MINUTE)
    return mailings | {"clients": remembered("clients", figures.unique_clients, topics=[Topic.CLIENTS])}


def choice(language: str) -> list[Card]:
    make = partial(blog.choice, language)
    return remembered(f"choice:{language}", make, topics=POSTS, seconds=lambda: blog.seconds_until_change(A_MINUTE))


def count() -> int:
    return remembered("count", blog.count, topics=POSTS, seconds=_seconds)


def page(number: int) -> list[Card]:
    return remembered(f"page:{number}", partial(blog.page, number), topics=POSTS, seconds=_seconds)


def article(slug: str) -> dict[str, Any]:
    """Or NotFound, which is not kept."""
    if not SLUG.fullmatch(slug):
        raise NotFound(_("There is no such post."))
    return remembered(f"article:{slug}", partial(blog.article, slug), topics=POSTS, seconds=_seconds)


def feed() -> list[dict[str, Any]]:
    return remembered("feed", blog.feed, topics=POSTS, seconds=_seconds)


def addresses() -> list[Any]:
    return remembered("addresses", blog.addresses, topics=POSTS, seconds=_seconds)


def _seconds() -> int:
    return blog.seconds_until_change(SECONDS)
