"""Whether Redis hears us."""

from __future__ import annotations

from redis.exceptions import RedisError

from mailservice import queues


def why_not() -> str | None:
    """Why nobody would hear a bell now, in words; None when Redis answers."""
    try:
        queues.connection().ping()
    except RedisError as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return None
