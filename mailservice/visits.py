"""Views of posts: one for each visitor and day, counted in Redis and written to the database from time to time.

Of a visitor nothing is kept but a keyed hash of address and browser, for a day, in Redis or in memory.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import Flask, current_app
from sqlalchemy import bindparam, update

from mailservice import caching, clock
from mailservice.database import write
from mailservice.models import Post
from mailservice.queues import connection

log = logging.getLogger(__name__)
MOST_VISITS = 500_000  # a day, as far as single visitors are told apart: more would fill Redis
WRITE_EVERY = 60.0  # seconds, for what this process counted in its own memory
SEEN, COUNTS = "mailservice:views:seen:", "mailservice:views:counts"
COUNT = """
if redis.call('scard', KEYS[1]) >= tonumber(ARGV[3]) or redis.call('sadd', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('expire', KEYS[1], 90000)
return redis.call('hincrby', KEYS[2], ARGV[2], 1)
"""
TAKE = "local all = redis.call('hgetall', KEYS[1]) redis.call('del', KEYS[1]) return all"
BOTS = re.compile(
    r"bot\b|bot[/;_-]|crawl|spider|slurp|scrap|preview|fetch|monitor|check|headless|lighthouse|externalhit|embedly|"
    r"whatsapp|telegram|skype|curl|wget|python|java/|okhttp|http-?client|libwww|go-http|node|axios|feed|rss|archive",
    re.IGNORECASE,
)


@dataclass
class _Memory:
    """What this process counts while Redis is away."""

    counts: Counter[int] = field(default_factory=Counter)
    seen: set[bytes] = field(default_factory=set)
    day: str = ""
    since: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, day: str, visitor: bytes, post_id: int) -> None:
        with self.lock:
            if day != self.day:
                self.day, self.seen = day, set()
            if visitor in self.seen or len(self.seen) >= MOST_VISITS:
                return
            if not self.counts:
                self.since = clock.steady()
            self.seen.add(visitor)
            self.counts[post_id] += 1

    def take(self) -> Counter[int]:
        with self.lock:
            taken, self.counts = self.counts, Counter()
        return taken

    @property
    def is_due(self) -> bool:
        return bool(self.counts) and clock.steady() - self.since > WRITE_EVERY


def is_person(agent: str) -> bool:
    """Whether a browser of this name has a reader in front of it, as far as names tell."""
    return bool(agent) and not BOTS.search(agent)


def count(post_id: int, *, address: str, agent: str) -> None:
    """This visitor has read this post; the second time on one day nothing is counted. Never fails."""
    day = f"{clock.now():%Y-%m-%d}"
    visitor = _visitor(f"{day}\0{post_id}\0{address}\0{agent}")
    redis = connection(timeout=caching.PATIENCE)
    counted = caching.ask(lambda: redis.eval(COUNT, 2, SEEN + day, COUNTS, visitor, str(post_id), str(MOST_VISITS)))
    memory = _memory()
    if counted is None:
        memory.add(day, visitor, post_id)
    if memory.is_due:
        write_down(memory.take())


def flush() -> None:
    """Writes to the database what Redis has counted, and this process's memory."""
    redis = connection()
    flat = caching.ask(lambda: redis.eval(TAKE, 1, COUNTS)) or []
    counts = Counter(dict(zip(map(int, flat[::2]), map(int, flat[1::2]), strict=True)))
    write_down(counts + _memory().take())


def write_down(counts: Mapping[int, int]) -> None:
    """Adds the views to their posts. What the database does not take is counted again in memory, for the next time."""
    if not counts:
        return
    # The post has not changed by being read: its updated_at stays.
    more = {"views": Post.views + bindparam("more"), "updated_at": Post.updated_at}
    statement = update(Post).where(Post.id == bindparam("post")).values(more)
    try:
        with write() as db:
            db.execute(statement, [{"post": post_id, "more": number} for post_id, number in sorted(counts.items())])
    except Exception:
        log.exception("Views are not written down; the next time tries again")
        memory = _memory()
        with memory.lock:
            memory.counts.update(counts)
            memory.since = clock.steady()


def _visitor(text: str) -> bytes:
    key = str(current_app.config["SECRET_KEY"]).encode()[:64]
    return hashlib.blake2b(text.encode("utf-8", "replace"), key=key, digest_size=12, person=b"views").digest()


def _memory() -> _Memory:
    found: _Memory | None = current_app.extensions.get("visits")
    if found is None:
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        found = app.extensions["visits"] = _Memory()
        atexit.register(_at_stop, app)
    return found


def _at_stop(app: Flask) -> None:
    """A process that is asked to end writes down what only it knows."""
    with app.app_context():
        write_down(_memory().take())
