"""What a dead sender left: its journal is read, its results are kept, what was on the wire is `unknown`.

Only then are its batches free. A sender out of reach (another machine, stopped past its lease) is first
evicted: its fence is taken, so that it can write nothing more, and its batches are judged when one more
lease has passed, so that it begins nothing on its own clock either.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, exists, select, update

from mailservice.database import read as reading
from mailservice.database import write
from mailservice.models import Batch, Delivery, Result, State
from mailservice.sending import journal, ledger
from mailservice.sending.batches import is_final
from mailservice.sending.claims import LEASE
from mailservice.sending.entries import Entry

log = logging.getLogger(__name__)
KEEP_SECONDS = 300.0  # that the journal of a dead sender that holds nothing is kept
LOST = "the answer to this letter was lost: its sender died before it came"
UNPROVEN = "its sender was lost with its journal: the letter may have been sent"


def recover(directory: Path, now: datetime, *, lease: timedelta = LEASE) -> int:
    """Frees the batches of senders that are dead or out of reach. Returns how many batches were freed."""
    freed = bury_dead(directory, now)
    with reading() as connection:
        lost = connection.execute(
            select(Batch.attempt_id, Batch.number, Batch.holder, Batch.fence, Batch.evicted).where(
                Batch.waiting > 0, Batch.holder.is_not(None), Batch.lease_until < now
            )
        ).all()
    for row in lost:
        if row.evicted:
            judge = partial(_judge_evicted, directory, row.attempt_id, row.number, row.holder, row.fence, now)
            freed += _guarded(judge, f"batch {row.number} of attempt {row.attempt_id}")
        else:
            _evict(row.attempt_id, row.number, row.fence, now, lease)
    return freed


def bury_dead(directory: Path, now: datetime) -> int:
    """Takes the journals of this machine's dead senders into the ledger; returns how many batches were freed.

    Cheap where there are none: every sender does it before it begins, since only it can read them.
    """
    return sum(_guarded(partial(_bury, path, now), path.name) for path in _journals(directory))


def _guarded(act: Callable[[], int], name: str) -> int:
    """One journal that cannot be read must not keep all others, and the tick, from their work."""
    try:
        return act()
    except Exception:
        log.exception("Recovery of %s failed; it is tried again", name)
        return 0


def _journals(directory: Path) -> Iterable[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if not path.name.startswith(".") and path.is_file())


def _bury(path: Path, now: datetime) -> int:
    """Takes a dead sender's journal into the ledger and frees its batches."""
    with journal.owned(path) as dead:
        if not dead:
            return 0
        account = journal.read(path)
        if account is None:
            return 0
        with write() as connection:
            held = connection.execute(
                select(Batch.attempt_id, Batch.number).where(Batch.holder == path.name).with_for_update()
            ).all()
            for attempt_id, number in held:
                _settle(connection, attempt_id, number, account, now)
        # A claim whose commit is still on its way holds nothing yet: its journal is kept for a while.
        if held or time.time() - path.stat().st_mtime > KEEP_SECONDS:
            path.unlink(missing_ok=True)
        return len(held)


def _evict(attempt_id: int, number: int, fence: int, now: datetime, lease: timedelta) -> None:
    with write() as connection:
        connection.execute(
            update(Batch)
            .where(Batch.attempt_id == attempt_id, Batch.number == number, Batch.fence == fence)
            .values(fence=Batch.fence + 1, evicted=True, lease_until=now + lease)
        )


def _judge_evicted(directory: Path, attempt_id: int, number: int, holder: str, fence: int, now: datetime) -> int:
    account = journal.read(directory / holder)
    with write() as connection:
        mine = connection.execute(
            update(Batch)
            .where(Batch.attempt_id == attempt_id, Batch.number == number, Batch.fence == fence)
            .values(fence=Batch.fence + 1)
        )
        if mine.rowcount != 1:
            return 0
        _settle(connection, attempt_id, number, account, now)
    return 1


def _settle(
    connection: Connection, attempt_id: int, number: int, account: journal.Account | None, now: datetime
) -> None:
    """Results that the journal knows are kept; what was begun without an answer is `unknown`."""
    key = (attempt_id, number)
    begun = account.begun.get(key, set()) if account else set()
    ended = account.ended.get(key, []) if account else []
    complete = account is not None and account.complete
    ledger.append(connection, attempt_id, [e for e in ended if not _is_known(connection, e)], now=now)
    answered = {entry.delivery_id for entry in ended}
    waiting = connection.execute(
        select(Delivery.id, Delivery.round).where(
            Delivery.attempt_id == attempt_id, Delivery.batch == number, ~exists().where(is_final())
        )
    )
    lost = [
        Entry(attempt_id, number, delivery_id, round_, State.UNKNOWN, now, reply=_why(delivery_id in begun))
        for delivery_id, round_ in waiting
        if delivery_id not in answered and (delivery_id in begun or not complete)
    ]
    ledger.append(connection, attempt_id, lost, now=now)
    ledger.recount(connection, attempt_id, number)
    ledger.free_batch(connection, attempt_id, number)


def _why(begun: bool) -> str:
    return LOST if begun else UNPROVEN


def _is_known(connection: Connection, entry: Entry) -> bool:
    """Whether the sender had committed this result itself."""
    there = [Result.delivery_id == entry.delivery_id, Result.round == entry.round]
    if entry.state is State.DEFERRED:
        there += [Result.state == State.DEFERRED, Result.tried_at == entry.tried_at]
    else:
        there += [Result.state != State.DEFERRED]
    return bool(connection.scalar(select(exists().where(*there))))
