"""A letter in flight and the octets that wait for the socket, so that it is always known how far each letter came.

Both count in octets since the connection began: what a letter has written follows from how many were handed over,
and to hand over a burst of letters costs no more than one.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from .letter import Letter
from .outcome import Outcome

RSET, MAIL, RCPT, DATA, FINAL = range(5)  # the replies a letter waits for, in this order
NAMES = ("RSET", "MAIL", "RCPT", "DATA", "the content")
NOTHING = -1
NEVER = 1 << 62  # an octet that no connection comes to

_IOV = 512  # buffers that one system call may gather; Linux allows 1,024


class Flight:
    """A letter on its way: the reply it waits for, what was queued of it, and its outcome once that is settled."""

    letter: Letter | None = None  # as long as some of it is to be queued
    settled: Outcome | None = None  # refused before the content; replies still to come are swallowed
    _step = RCPT  # what was queued last of it, short of FINAL, and from which octet on
    _before = NOTHING  # what was written of it before that

    def __init__(self, key: Any, awaiting: int, start: int = NEVER, end: int = NEVER) -> None:
        """`start`, `end`: where all of it lies among the octets, where it is queued whole (and begun)."""
        self.key = key
        self.awaiting = awaiting
        self.begun = end < NEVER  # whether source.begin() was asked and said yes
        self.end = end  # octets handed over when the whole of it is written
        self._from = start

    def unsent(self) -> Letter:
        """The letter, of which something is still to be queued."""
        if self.letter is None:
            raise AssertionError("all of the letter was queued before")
        return self.letter

    def written(self, out: "Outgoing") -> int:
        """The last step written: each from its first octet on, FINAL only when every octet was handed over."""
        if out.handed >= self.end:
            return FINAL
        return self._step if out.touched > self._from else self._before

    def queue(self, step: int, data: bytes, out: "Outgoing") -> None:
        """Queue what leads to the reply `step`."""
        if step == FINAL:  # of two pieces the last one counts
            self.end = out.add(data)
        else:
            self._before, self._step, self._from = self.written(out), step, out.queued
            out.add(data)

    def octets_to(self, end: int) -> int:
        """From its first octet on, as long as none of it was written."""
        return end - self._from

    def freeze(self, out: "Outgoing") -> None:
        """Nothing more of it will be written."""
        if out.handed < self.end:
            self._before, self._from, self.end = self.written(out), NEVER, NEVER


class Outgoing:
    """Octets that wait for the socket. `handed`: taken by it; `touched`: at least begun; `queued`: all so far."""

    __slots__ = ("_chunks", "_offset", "handed", "queued", "touched")

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._offset = 0  # octets of the first chunk already handed over
        self.handed = self.touched = self.queued = 0

    @property
    def size(self) -> int:
        """Octets that wait."""
        return self.queued - self.handed

    def add(self, data: bytes) -> int:
        """Queue `data`; returns the octets queued so far."""
        self._chunks.append(data)
        self.queued += len(data)
        return self.queued

    def extend(self, chunks: Iterable[bytes], end: int) -> None:
        """Queue many, after which `end` octets are queued."""
        self._chunks.extend(chunks)
        self.queued = end

    def buffers(self, limit: int) -> list[bytes | memoryview]:
        """The next octets to hand over, about `limit` of them."""
        if not self._offset and self.size <= limit and len(self._chunks) <= _IOV:
            return list(self._chunks)
        found: list[bytes | memoryview] = []
        skip = self._offset
        for data in self._chunks:
            found.append(memoryview(data)[skip:] if skip else data)
            limit -= len(data) - skip
            if limit <= 0 or len(found) == _IOV:
                break
            skip = 0
        return found

    def advance(self, count: int) -> None:
        """`count` octets were handed to the socket."""
        self.handed += count
        self.touched = max(self.touched, self.handed)
        chunks = self._chunks
        if self.handed == self.queued:
            chunks.clear()
            self._offset = 0
            return
        count += self._offset
        while count >= len(chunks[0]):
            count -= len(chunks.popleft())
        self._offset = count

    def touch(self, count: int) -> None:
        """TLS holds the next `count` octets in a record it will not give back: they count as begun."""
        self.touched = max(self.touched, self.handed + count)

    def clear(self) -> None:
        """Write nothing more of what waits."""
        self._chunks.clear()
        self._offset = 0
        self.handed = self.touched = self.queued

    def take_back(self, count: int) -> None:
        """Forget the last `count` octets, of which none was handed over."""
        self.queued -= count
        while count > 0:
            count -= len(self._chunks.pop())
