"""The only source of time."""

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> datetime:
    """This moment, aware, in UTC. It may jump: never measure with it."""
    return datetime.now(UTC)


def steady() -> float:
    """Seconds on a clock that never jumps and goes on while the machine sleeps: for leases."""
    return time.clock_gettime(_STEADY)


def to_utc(local: datetime, time_zone: str) -> datetime:
    """A wall-clock reading in a zone as a moment: the first of two in the autumn fold, moved on in a gap."""
    return local.replace(tzinfo=ZoneInfo(time_zone), fold=0).astimezone(UTC)
