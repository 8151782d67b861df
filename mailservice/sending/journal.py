"""The journal: what a sender has begun and what became of it, between the server's answer and our commit.

One file a batch, held by flock: a file whose lock is free has a dead owner. A line is one write() before
the letter's content goes to the socket and one when its answer is known, so it survives kill -9. It does not
survive a power cut whole: a file of another boot is no proof of what was *not* begun.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mailservice.sending.entries import Entry

BEGIN, WITHDRAW, END = "+", "-", "="


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
        self._head = (json.dumps({"boot": boot_id()}) + "\n").encode()
        self._size = 0
        draft = directory / f".{self.holder}"  # it gets its name when it is locked: no name, no owner to miss
        self._file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._append(self._head)
        draft.rename(self.path)

    def begin(self, attempt_id: int, batch: int, delivery_id: int) -> None:
        """Raises OSError (a full disk): then the letter must not be begun."""
        self._append(f"{BEGIN} {attempt_id} {batch} {delivery_id}\n".encode())

    def withdraw(self, attempt_id: int, batch: int, delivery_id: int) -> None:
        """It was begun and yet surely not sent: the connection broke before the server had all of it."""
        self._append(f"{WITHDRAW} {attempt_id} {batch} {delivery_id}\n".encode())

    def end(self, entry: Entry) -> None:
        self._append(f"{END} {entry.dumps()}\n".encode())

    def close(self, *, keep: bool = False) -> None:
        """`keep`: leave the file for recovery, since its last results are not in the database."""
        if not keep:
            self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _append(self, line: bytes) -> None:
        written = os.write(self._file, line)
        if written != len(line):  # a disk that filled up in the middle of a line
            self._cut(self._size)
            raise OSError(f"only {written} of {len(line)} octets were written to {self.path}")
        self._size += written

    def _cut(self, size: int) -> None:
        os.ftruncate(self._file, size)
        self._size = size


@dataclass
class Account:
    """What a journal says. `complete`: what it does not name was surely not begun."""

    complete: bool
    begun: dict[tuple[int, int], set[int]] = field(default_factory=dict)  # (attempt, batch) -> delivery ids
    ended: dict[tuple[int, int], list[Entry]] = field(default_factory=dict)


def read(path: Path) -> Account | None:
    """What the file says; None where there is none. A line cut short by the writer's death is passed over."""
    try:
        lines = path.read_bytes().split(b"\n")
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
        attempt_id, batch, delivery_id = map(int, rest.split())
        begun = account.begun.setdefault((attempt_id, batch), set())
        begun.add(delivery_id) if mark == BEGIN else begun.discard(delivery_id)
    elif mark == END:
        entry = Entry.loads(rest)
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
