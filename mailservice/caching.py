"""What pages remember for a while in Redis: data and fragments, never a page, never anything of one person.

A thing is kept under the versions of the topics that it is made of. Whatever is committed about a topic gives it a
new version at once, whoever committed it: a page, a job or a command. What was kept before is then never read again,
nor what a slow reader of the old state stores later. While Redis is away, things are some seconds old, or made anew.
"""

from __future__ import annotations

import enum
import json
import logging
import secrets
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from cachelib import SimpleCache
from cachelib.serializers import JSONSerializer
from flask import Flask, current_app
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy import TextClause, event
from sqlalchemy.orm import ORMExecuteState, Session

from mailservice import clock
from mailservice.extensions import cache

log = logging.getLogger(__name__)
PATIENCE = 0.25  # seconds that a page waits for Redis
SILENCE = 5.0  # seconds in which Redis is not asked again when it did not answer
SECONDS = 300  # for which a thing is kept at most
MEMORY_SECONDS = 5  # the same, while Redis is away: other processes' changes do not reach this one's memory
FORMAT = 1  # raised when the shape of what is kept changes, so that a new release does not read an old one's things
T = TypeVar("T")


class Topic(enum.StrEnum):
    POSTS = "posts"
    MAILINGS = "mailings"
    CLIENTS = "clients"


TOPIC_OF = {
    "posts": Topic.POSTS,
    "post_old_slugs": Topic.POSTS,
    "mailings": Topic.MAILINGS,
    "clients": Topic.CLIENTS,
}


class Json(JSONSerializer):
    """Flask-Caching would pickle, and whoever writes into Redis could then run code here. Moments are kept as such."""

    def dumps(self, value: Any, *args: Any, **kwargs: Any) -> bytes:
        return json.dumps(value, default=_pack).encode()

    def loads(self, bvalue: Any, *args: Any, **kwargs: Any) -> Any:
        return None if bvalue is None else super().loads(bvalue, object_hook=_unpack)


def _pack(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$at": value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _unpack(value: dict[str, Any]) -> Any:
    return datetime.fromisoformat(value["$at"]) if value.keys() == {"$at"} else value


class _State:
    """What one process knows: whether Redis is silent, and what it must still be told."""

    def __init__(self) -> None:
        self.silent_until = 0.0
        self.owed: set[Topic] = set()
        self.memory = SimpleCache(threshold=200, default_timeout=MEMORY_SECONDS)
        self.locks = [threading.RLock() for _ in range(32)]


def init_app(app: Flask) -> None:
    app.extensions["caching"] = _State()
    deadlines = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0)}
    app.config.update(
        CACHE_TYPE="RedisCache",
        CACHE_REDIS_URL=app.config["REDIS_URL"],
        CACHE_OPTIONS=deadlines,
        CACHE_SERIALIZER=Json,
        CACHE_KEY_PREFIX=f"mailservice:cache:{FORMAT}:",
        CACHE_DEFAULT_TIMEOUT=SECONDS,
    )
    cache.init_app(app)


def _state() -> _State:
    found: _State = current_app.extensions["caching"]
    return found


def ask(question: Callable[[], T]) -> T | None:
    """What Redis answers; None when it is away, and for a while after it was."""
    state = _state()
    if clock.steady() < state.silent_until:
        return None
    try:
        return question()
    except RedisError as error:
        state.silent_until = clock.steady() + SILENCE
        log.warning("Redis is away, pages do without it: %s", error)
        return None


def remembered(
    name: str, make: Callable[[], T], *, topics: Iterable[Topic], seconds: Callable[[], int] = lambda: SECONDS
) -> T:
    """What `make` made under this name, at most `seconds` ago and in no older version of `topics`.

    The name says all that it depends on (a language, a page's number); it is made of JSON's types and moments.
    """
    state = _state()
    prefix = _versions(sorted(topics))
    if prefix is None:
        return _from_memory(state, name, make)
    key = f"{prefix}:{name}"
    found = ask(lambda: cache.get(key))
    if found is None:
        # One of this process's threads makes it, the others wait for it.
        with state.locks[hash(key) % len(state.locks)]:
            found = ask(lambda: cache.get(key))
            if found is None:
                found = [make()]
                made, left = found, max(1, seconds())
                ask(lambda: cache.set(key, made, timeout=left))
    return found[0]


def _versions(topics: list[Topic]) -> str | None:
    """The beginning of the keys of what is made of these topics; None when Redis is away."""
    state = _state()
    _tell(state)
    found = None if state.owed else ask(lambda: cache.cache.get_many(*(f"version:{topic}" for topic in topics)))
    return None if found is None else ":".join(version or "0" for version in found)


def _from_memory(state: _State, name: str, make: Callable[[], T]) -> T:
    with state.locks[hash(name) % len(state.locks)]:
        found = state.memory.get(name)
        if found is None:
            found = [make()]
            state.memory.set(name, found)
    return found[0]


def forget(*topics: Topic) -> None:
    """Gives the topics a new version. What Redis could not be told now, it is told before it is read again."""
    state = _state()
    state.owed.update(topics)
    state.memory.clear()
    _tell(state)


def _tell(state: _State) -> None:
    owed = set(state.owed)
    if not owed:
        return
    told = ask(lambda: cache.cache.set_many({f"version:{topic}": secrets.token_hex(8) for topic in owed}, timeout=0))
    if told is not None:
        state.owed -= owed


# What a transaction has changed is forgotten when it is committed.


@event.listens_for(Session, "after_flush")
def _note_rows(session: Session, *_: Any) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        _note(session, row.__tablename__)
    if any(row.__tablename__ == "users" for row in session.deleted):
        session.info.setdefault("topics", set()).update(Topic)  # and all that was theirs


@event.listens_for(Session, "do_orm_execute")
def _note_statement(state: ORMExecuteState) -> None:
    """A text says by its mapper what it changes."""
    changes = state.is_insert or state.is_update or state.is_delete or isinstance(state.statement, TextClause)
    if changes and state.bind_mapper:
        _note(state.session, state.bind_mapper.local_table.name)  # type: ignore[attr-defined]


def _note(session: Session, table: str) -> None:
    if table in TOPIC_OF:
        session.info.setdefault("topics", set()).add(TOPIC_OF[table])


@event.listens_for(Session, "after_commit")
def _forget_what_changed(session: Session) -> None:
    if not session.in_nested_transaction() and (topics := session.info.pop("topics", None)):
        forget(*topics)


@event.listens_for(Session, "after_rollback")
def _nothing_changed(session: Session) -> None:
    session.info.pop("topics", None)
