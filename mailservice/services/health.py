"""Whether the service can do its work now: what it depends on, each asked with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from mailservice.models import Breaker

PATIENCE = 2.0  # seconds for all answers together
LONGEST_LAG = 60.0  # seconds by which the scheduler may be late
SCHEDULED_JOBS = "rq:scheduler:scheduled_jobs"  # rq-scheduler's sorted set, by the time that a job is due
WORKERS = "rq:workers:sending"  # RQ's set of the keys of workers that send; the key of a dead one expires

Check = Callable[[], Any]


@dataclass(frozen=True)
class Report:
    """`parts` is ready for JSON; `ready` says whether mail can go out."""

    ready: bool
    parts: dict[str, Any]


class Health:
    """Asks for one app. A check that hangs holds one thread, however often it is asked for."""

    def __init__(self, engine: Engine, redis: Redis, mail_servers: Sequence[str]) -> None:
        self._checks: dict[str, Check] = {
            "database": lambda: breakers(engine, mail_servers),
            "redis": redis.ping,
            "scheduler": lambda: scheduler_lag(redis),
            "workers": lambda: count_workers(redis),
        }
        self._running: dict[str, Future[tuple[Any, float]]] = {}
        self._lock = threading.Lock()

    def report(self) -> Report:
        """Everything that is known within PATIENCE seconds; what has not answered by then is not ready."""
        deadline = time.monotonic() + PATIENCE
        futures = {name: self._ask(name) for name in self._checks}
        answers = {name: _answer(future, deadline) for name, future in futures.items()}
        states, lag, workers = (answers[name].pop("value") for name in ("database", "scheduler", "workers"))
        answers["redis"].pop("value")
        late = lag is None or lag > LONGEST_LAG
        parts: dict[str, Any] = {
            "database": answers["database"],
            "redis": answers["redis"],
            "scheduler": {"ok": not late, "lag": lag},
            "workers": {"ok": bool(workers), "alive": workers or 0},
            "breaker": states and ("closed" if "closed" in states else "open"),
            "mail_servers": states,  # in the order of the settings: their names are nobody's business
        }
        ready = all(parts[name]["ok"] for name in self._checks) and parts["breaker"] == "closed"
        return Report(ready, parts)

    def _ask(self, name: str) -> Future[tuple[Any, float]]:
        with self._lock:
            future = self._running.get(name)
            if future is None or future.done():
                future = self._running[name] = Future()
                threading.Thread(target=_run, args=(self._checks[name], future), daemon=True).start()
            return future


def _run(check: Check, future: Future[tuple[Any, float]]) -> None:
    began = time.perf_counter()
    try:
        value = check()
    except (SQLAlchemyError, RedisError, OSError) as error:
        future.set_exception(error)
    else:
        future.set_result((value, time.perf_counter() - began))


def _answer(future: Future[tuple[Any, float]], deadline: float) -> dict[str, Any]:
    """Names the kind of an error only: anybody may read this, and error texts name hosts and users."""
    try:
        value, seconds = future.result(max(deadline - time.monotonic(), 0))
    except TooLate:
        return {"ok": False, "error": "no answer in time", "value": None}
    except (SQLAlchemyError, RedisError, OSError) as error:
        return {"ok": False, "error": type(error).__name__, "value": None}
    return {"ok": True, "ms": round(seconds * 1000, 1), "value": value}


def breakers(engine: Engine, mail_servers: Sequence[str]) -> list[str]:
    """Whether the senders wait for each of the mail servers (“host:port”): “open” or “closed”."""
    with engine.connect() as connection:
        query = select(Breaker.name).where(Breaker.name.in_(mail_servers), Breaker.retry_at.is_not(None))
        waited_for = set(connection.scalars(query))
    return ["open" if name in waited_for else "closed" for name in mail_servers]


def scheduler_lag(redis: Redis) -> float | None:
    """By how many seconds the most overdue periodic job is late; None where nothing is scheduled at all."""
    first: list[tuple[bytes, float]] = redis.zrange(SCHEDULED_JOBS, 0, 0, withscores=True)  # type: ignore[assignment]
    return round(max(time.time() - first[0][1], 0.0), 1) if first else None


def count_workers(redis: Redis) -> int:
    """RQ workers that gave a sign of life within their time to live."""
    keys: set[bytes] = redis.smembers(WORKERS)  # type: ignore[assignment]
    return int(redis.exists(*keys)) if keys else 0
