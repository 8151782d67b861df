"""A sender's dealings with the database while letters are under way: claims, commits, permission.

They happen in a thread of their own, one at a time, so that a slow database does not idle the sockets. The
loop's thread hands tasks in and takes answers out; neither touches what the other holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from mailservice import clock
from mailservice.database import write
from mailservice.models import Reason
from mailservice.sending import claims, ledger, permission
from mailservice.sending.claims import Claim
from mailservice.sending.entries import Entry
from mailservice.sending.permission import Permission, Verdict

T = TypeVar("T")
Context = Callable[[], AbstractContextManager[object]]


class Part(NamedTuple):
    """What one commit writes about one batch."""

    claim: Claim
    entries: list[Entry]
    is_through: bool  # all of its letters have a result: it is given back
    give_back: bool = False  # though some have none
    put_off_until: datetime | None = None  # nobody needs to take it before
    accepted: Sequence[str] = ()  # rows, as entries.accepted() makes them
    must_look: bool = False  # whether some of its letters must be left out by now

    @property
    def results(self) -> int:
        return len(self.entries) + len(self.accepted)


class Committed(NamedTuple):
    """What one commit found; `at` on the steady clock is when its leases began anew."""

    at: float
    permission: Permission
    fenced: set[int]  # numbers of batches that were taken from us: nothing was written about them
    left_out: dict[int, Reason]  # deliveries that must not be sent to by now


class Books:
    """One thread that keeps them; each task runs in a context that knows the database."""

    def __init__(self, context: Context):
        self._context = context
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="books")

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    def submit(self, task: Callable[..., T], *args: Any) -> Future[T]:
        """Runs a task in the thread; its future raises DBAPIError when the database is away."""
        return self._thread.submit(self._in_context, task, args)

    def _in_context(self, task: Callable[..., T], args: tuple[Any, ...]) -> T:
        with self._context():
            return task(*args)


def take(attempt_id: int, holders: list[str], lease: timedelta) -> list[Claim]:
    """The next batches, if their letters may start now. A stop that is noticed here is written down."""
    now = clock.now()
    with write() as connection:
        allowed = permission.ask(connection, attempt_id, now)
        if allowed.verdict is Verdict.STOP and allowed.reason:
            ledger.stop(connection, attempt_id, allowed.reason)
        if allowed.verdict is not Verdict.GO:
            return []
        return claims.claim(connection, attempt_id, holders=holders, now=now, lease=lease)


def commit(attempt_id: int, parts: list[Part]) -> Committed:
    """Results into the ledger, leases renewed, batches given back, permission asked; one transaction."""
    at, now = clock.steady(), clock.now()
    with write() as connection:
        fenced = {
            part.claim.number
            for part in parts
            if not ledger.renew(
                connection,
                part.claim,
                part.entries,
                now=now,
                accepted=len(part.accepted),
                is_through=part.is_through,
            )
        }
        kept = [part for part in parts if part.claim.number not in fenced]
        entries = [entry for part in kept for entry in part.entries]
        accepted = [row for part in kept for row in part.accepted]
        ledger.append(connection, attempt_id, entries, now=now, accepted=accepted)
        for part in kept:
            if part.give_back:
                ledger.release(connection, part.claim._replace(fence=part.claim.fence + 1), until=part.put_off_until)
        left_out = claims.left_out(connection, attempt_id, [part.claim.number for part in kept if part.must_look])
        allowed = permission.ask(connection, attempt_id, now)
    return Committed(at, allowed, fenced, left_out)
