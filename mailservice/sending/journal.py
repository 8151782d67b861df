"""The journal: what a sender has begun and what became of it, between the server's answer and our commit.

One file a batch, held by flock: a file whose lock is free has a dead owner. A line is written before the
letter's content goes to the socket and when its answer is known. The file is mapped: a line costs no system call
and yet survives kill -9, since the pages are the kernel's. They do not survive a power cut whole: a file of
another boot is no proof of what was *not* begun.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mailservice.sending.entries import Entry

BEGIN, WITHDRAW, END, ACCEPTED = "+", "-", "=", "*"
NEWLINE = ord("\n")
ROOM = 128 * 1024  # octets: more than most batches need


@cache
def boot_id() -> str:
    """What changes with every start of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def sender_name() -> str:
    """A name that no other sender has or had."""
    return f"{socket.gethostname()[:60]}-{os.getpid()}-{os.urandom(4).hex()}"


def sender_of(holder: str) -> str:
    """The sender that a batch's holder belongs to."""
    return holder.rpartition(".")[0]


class Journal:
    """One batch's file, in a sender's hand. Its name is what the batch carries as `holder`."""

    def __init__(self, directory: Path, sender: str | None = None):
        directory.mkdir(parents=True, exist_ok=True)
        self.holder = f"{sender or sender_name()}.{os.urandom(4).hex()}"
        self.path = directory / self.holder
        draft = directory / f".{self.holder}"  # it gets its name when it is locked: no name, no owner to miss
        self._file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            _make_room(self._file, ROOM)
            self._map = mmap.mmap(self._file, ROOM)
            self._used, self._room = 0, ROOM
            self._append(json.dumps({"boot": boot_id()}))
            draft.rename(self.path)
        except BaseException:
            os.close(self._file)
            draft.unlink(missing_ok=True)
            raise

    def renew(self) -> None:
        """Begins anew under another name, when all that it says is in the database: to make a file costs more."""
        self._map[: self._used] = bytes(self._used)
        self._used = 0
        self._append(json.dumps({"boot": boot_id()}))
        self.holder = f"{sender_of(self.holder)}.{os.urandom(4).hex()}"
        self.path = self.path.rename(self.path.with_name(self.holder))

    def begin(self, attempt_id: int, batch: int, *delivery_ids: int) -> None:
        """Raises OSError (a full disk): then the letters must not be begun."""
        self._append(f"{BEGIN} {attempt_id} {batch} {' '.join(map(str, delivery_ids))}")

    def withdraw(self, attempt_id: int, batch: int, delivery_id: int) -> None:
        """It was begun and yet surely not sent: the connection broke before the server had all of it."""
        self._append(f"{WITHDRAW} {attempt_id} {batch} {delivery_id}")

    def end(self, entry: Entry) -> None:
        self._append(f"{END} {entry.dumps()}")

    def accepted(self, batch: int, rows: list[str]) -> None:
        """The same for letters of which entries.accepted() has made rows."""
        mark = f"{ACCEPTED} {batch}\t"
        self._append((mark + mark.join(rows))[:-1])

    def close(self, *, keep: bool = False) -> None:
        """`keep`: leave the file for recovery, since its last results are not in the database."""
        if self._map.closed:
            return
        self._map.close()
        if keep:
            os.ftruncate(self._file, self._used)
        else:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _append(self, text: str) -> None:
        if self._map.closed:
            raise OSError(f"the journal {self.path.name} is closed")
        line = text.encode()
        end = self._used + len(line)
        if end >= self._room:
            room = max(2 * self._room, end + ROOM)
            _make_room(self._file, room)
            self._map.resize(room)
            self._room = room
        self._map[self._used : end] = line
        self._map[end] = NEWLINE  # last: a line without it was cut short by death
        self._used = end + 1


def _make_room(file: int, size: int) -> None:
    """Disk space is taken before it is written to: in a mapped file a full disk would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


@dataclass
class Account:
    """What a journal says. `complete`: what it does not name was surely not begun."""

    complete: bool
    begun: dict[tuple[int, int], set[int]] = field(default_factory=dict)  # (attempt, batch) -> delivery ids
    ended: dict[tuple[int, int], list[Entry]] = field(default_factory=dict)


def read(path: Path) -> Account | None:
    """What the file says; None where there is none. A line cut short by the writer's death is passed over."""
    try:
        lines = path.read_bytes().rstrip(b"\0").split(b"\n")
    except FileNotFoundError:
        return None
    head = _json(lines[0])
    account = Account(complete=isinstance(head, dict) and head.get("boot") == boot_id())
    for line in lines[1:-1]:
        try:
            _read_line(line.decode(), account)
        except (ValueError, TypeError, KeyError):
            account.complete = False
    return account


def _read_line(line: str, account: Account) -> None:
    mark, _, rest = line.partition(" ")
    if mark in (BEGIN, WITHDRAW):
        attempt_id, batch, first, *others = map(int, rest.split())
        begun = account.begun.setdefault((attempt_id, batch), set())
        (begun.update if mark == BEGIN else begun.difference_update)((first, *others))
    elif mark == END:
        entry = Entry.loads(rest)
        account.ended.setdefault((entry.attempt_id, entry.batch), []).append(entry)
    elif mark == ACCEPTED:
        batch_of, _, row = rest.partition("\t")
        entry = Entry.of_row(int(batch_of), row)
        account.ended.setdefault((entry.attempt_id, entry.batch), []).append(entry)
    else:
        raise ValueError(mark)


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@contextmanager
def owned(path: Path) -> Iterator[bool]:
    """Whether the file's owner is dead; while inside, nobody else can find that out."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(file).st_nlink > 0
    except BlockingIOError:
        yield False
    finally:
        os.close(file)
