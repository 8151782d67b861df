"""Where senders keep what they share about a server's limits: Redis while it answers, the database otherwise."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailservice import clock
from mailservice.database import read, write
from mailservice.models import Throttle
from mailservice.sending.pacing.permits import State

log = logging.getLogger(__name__)
T = TypeVar("T")
Act = Callable[[State, float], T]
SILENCE = 10.0  # seconds in which Redis is not asked again when it did not answer
KEPT = 2 * 3600  # seconds
TRIES = 100
SWAP = """
if (redis.call('get', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[2], 'ex', ARGV[3])
return 1
"""


class Store(Protocol):
    """Documents by name, and a clock of their own: `act` is given a document and the moment in seconds."""

    def update(self, name: str, act: Act[T]) -> T:
        """What `act` changes is kept; nobody else has the document meanwhile, or `act` is called once more."""

    def look(self, name: str, act: Act[T]) -> T:
        """What `act` changes is forgotten."""


def moment(connection: Connection) -> float:
    """PostgreSQL's clock is one for all machines; SQLite is on one machine."""
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
    return clock.now().timestamp()


class DatabaseStore:
    """Raises DBAPIError when the database is away."""

    def __init__(self, moment: Callable[[Connection], float] = moment):
        self._moment = moment

    def update(self, name: str, act: Act[T]) -> T:
        mine = Throttle.name == name
        with write() as connection:
            query = select(Throttle.state).where(mine).with_for_update()
            if (state := connection.scalar(query)) is None:
                dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
                connection.execute(dialect.insert(Throttle).values(name=name, state={}).on_conflict_do_nothing())
                state = connection.scalar(query) or {}
            result = act(state, self._moment(connection))
            connection.execute(update(Throttle).where(mine).values(state=state))
        return result

    def look(self, name: str, act: Act[T]) -> T:
        with read() as connection:
            state = connection.scalar(select(Throttle.state).where(Throttle.name == name)) or {}
            return act(state, self._moment(connection))


class RedisStore:
    """Raises RedisError when Redis is away; its client needs a short deadline."""

    def __init__(self, redis: Redis, moment: Callable[[], float] | None = None):
        self._redis = redis
        self._moment = moment

    def update(self, name: str, act: Act[T]) -> T:
        for _ in range(TRIES):
            before, state, now = self._get(name)
            result = act(state, now)
            if self._redis.eval(SWAP, 1, _key(name), before, json.dumps(state), KEPT):
                return result
        raise RedisError(f"{name} never stands still")

    def look(self, name: str, act: Act[T]) -> T:
        _, state, now = self._get(name)
        return act(state, now)

    def _get(self, name: str) -> tuple[bytes, State, float]:
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.get(_key(name))
            pipeline.time()
            kept, (seconds, micros) = pipeline.execute()
        now = self._moment() if self._moment else seconds + micros / 1e6
        state: Any = json.loads(kept) if kept else {}
        return kept or b"", state, now


def _key(name: str) -> str:
    return f"mailservice:throttle:{name}"


class SharedStore:
    """Redis; the database while it is away. Each has documents of its own: a change from one to the other costs
    what was shared, which is a block of letters, not mail."""

    def __init__(self, redis: Redis | None, database: Store):
        self._redis = RedisStore(redis) if redis is not None else None
        self._database = database
        self._silent_until = float("-inf")

    def update(self, name: str, act: Act[T]) -> T:
        return self._ask(lambda store: store.update(name, act))

    def look(self, name: str, act: Act[T]) -> T:
        return self._ask(lambda store: store.look(name, act))

    def _ask(self, question: Callable[[Store], T]) -> T:
        if self._redis is not None and clock.steady() >= self._silent_until:
            try:
                return question(self._redis)
            except RedisError as error:
                self._silent_until = clock.steady() + SILENCE
                log.warning("Redis is away, the pace is kept in the database: %s", error)
        return question(self._database)
