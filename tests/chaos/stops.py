"""What people have stopped, and since when: the checker asks whether a letter began in spite of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from math import inf

# Each reason, and what its key names: the column of a delivery's line that the checker compares.
SCOPE = {
    "paused": "mailing_id",
    "disabled": "mailing_id",
    "ended": "mailing_id",
    "cancelled": "attempt_id",
    "blocked": "owner_id",
    "unsubscribed": "address",
    "deleted": "client_id",
}


@dataclass
class Stop:
    """It took effect at `since` and was taken back at `until` (seconds since the epoch)."""

    reason: str
    key: object
    since: float
    until: float = inf


class Stops:
    """Written down after the commit of a stop, and before the one that takes it back."""

    def __init__(self) -> None:
        self.all: list[Stop] = []
        self._lock = threading.Lock()

    def took_effect(self, reason: str, key: object, *, since: float | None = None) -> None:
        with self._lock:
            self.all.append(Stop(reason, key, time.time() if since is None else since))

    def taken_back(self, reason: str, key: object = None) -> None:
        """`key` None: all of this reason."""
        with self._lock:
            for stop in self.all:
                if stop.reason == reason and stop.until == inf and key in (None, stop.key):
                    stop.until = time.time()
