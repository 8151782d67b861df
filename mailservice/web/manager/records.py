"""The desk's other lists: who did what, and the blog's posts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import lazy_pgettext
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload

from mailservice import clock
from mailservice.models import Event, Post, User
from mailservice.services import overview, pages
from mailservice.web.manager import cells, words
from mailservice.web.manager.desk import Desk
from mailservice.web.manager.filters import About, Choice, Person, days


class Events(Desk):
    of = Event
    slug = "events"
    title = _l("Events")
    about = _l("Who did what, when and from where. Nothing here is ever changed or deleted.")
    eager = (joinedload(Event.actor),)
    column_list = ("at", "actor", "action", "subject", "detail", "address")
    column_details_list = column_list
    column_labels = {
        "at": _l("When"),
        "actor": _l("Who"),
        "action": _l("What"),
        "subject": _l("To what"),
        "detail": _l("Details"),
        "address": _l("From where"),
    }
    column_formatters = {
        "at": cells.moment(lambda line: line.event.at),
        "actor": cells.actor(lambda line: line.event),
        "action": cells.text(lambda line: words.ACTIONS.get(line.event.action, line.event.action)),
        "subject": cells.link(
            lambda line: words.subject(line.event, line.subject),
            lambda line: words.page_of_subject(line.event) if line.subject else None,
            look="person",
        ),
        "detail": cells.text(lambda line: words.details(line.event.detail)),
        "address": cells.text(lambda line: line.event.address),
    }
    column_sortable_list = ("at",)
    column_searchable_list = ("actor.email",)
    search_hint = _l("Find by who did it")
    column_filters = (
        Choice("action", _l("What"), lambda name: Event.action == name, words.ACTIONS),
        Person("actor", _l("Who, by address"), Event.actor_id.in_),
        *days(Event.at, lazy_pgettext("day", "From"), _l("Until")),
        About("about", _l("To what")),
    )

    def sought(self, search: str) -> Any:
        """The people first, then their events: there may be a million of these."""
        return Event.actor_id.in_(select(User.id).where(pages.matches(search, User.email, User.full_name)))

    def name_of(self, line: overview.EventLine) -> str:
        return _("Event %(number)s", number=line.event.id)

    def lines(self, rows: Sequence[Event]) -> list[overview.EventLine]:
        return overview.event_lines(rows)


def _published(name: str) -> ColumnElement[bool]:
    now = clock.now()
    return {
        "draft": Post.published_at.is_(None),
        "planned": Post.published_at > now,
        "published": Post.published_at <= now,
    }[name]


def _state(post: Post) -> str:
    if post.published_at is None:
        return "draft"
    return "planned" if post.published_at > clock.now() else "published"


class Posts(Desk):
    of = Post
    slug = "posts"
    title = _l("Posts")
    eager = (joinedload(Post.author),)
    column_list = ("title", "author", "state", "published_at", "views")
    column_details_list = ("author", "state", "published_at", "views", "created_at", "updated_at")
    column_labels = {
        "title": _l("Title"),
        "author": _l("Author"),
        "state": _l("State"),
        "published_at": _l("Published"),
        "views": _l("Views"),
        "created_at": _l("Created"),
        "updated_at": _l("Changed"),
    }
    column_formatters = {
        "title": cells.link(lambda post: post.title, lambda post: ("posts", post.id), look="name"),
        "author": cells.person(lambda post: post.author),
        "state": cells.state(_state, words.POSTS.get, words.POST_COLOURS.get),
        "published_at": cells.moment(lambda post: post.published_at),
        "views": cells.number(lambda post: post.views),
        "created_at": cells.moment(lambda post: post.created_at),
        "updated_at": cells.moment(lambda post: post.updated_at),
    }
    column_sortable_list = ("title", "published_at", "views")
    column_searchable_list = ("title",)
    search_hint = _l("Find by title")
    column_filters = (
        Choice("state", _l("State"), _published, words.POSTS),
        Person("author", _l("Author's address"), Post.author_id.in_),
    )
    details_template = "manager/post.html"
