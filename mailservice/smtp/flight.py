"""A letter in flight and the octets that wait for the socket, so that it is always known how far each letter came."""

from collections import deque

from .letter import Letter
from .outcome import Outcome

RSET, MAIL, RCPT, DATA, FINAL = range(5)  # the replies a letter waits for, in this order
NAMES = ("RSET", "MAIL", "RCPT", "DATA", "the content")
NOTHING = -1

_IOV = 512  # buffers that one system call may gather; Linux allows 1,024


class Flight:
    """A letter on its way: the reply it waits for, the last step written, and its outcome once that is settled."""

    __slots__ = ("awaiting", "begun", "letter", "settled", "written")

    def __init__(self, letter: Letter, awaiting: int) -> None:
        self.letter = letter
        self.awaiting = awaiting
        self.written = NOTHING  # FINAL only when every octet was handed to the socket
        self.begun = False  # whether source.begin() was asked and said yes
        self.settled: Outcome | None = None  # refused before the content; replies still to come are swallowed


class Outgoing:
    """Octets that wait for the socket, and what it means for a letter that they were handed over."""

    __slots__ = ("_chunks", "_offset", "size")

    def __init__(self) -> None:
        self._chunks: deque[tuple[bytes, Flight | None, int]] = deque()
        self._offset = 0  # octets of the first chunk already handed over
        self.size = 0

    def add(self, data: bytes, flight: Flight | None = None, step: int = NOTHING) -> None:
        """Queue `data`; `step` counts as written from its first octet on, FINAL only from its last."""
        self._chunks.append((data, flight, step))
        self.size += len(data)

    def buffers(self, limit: int) -> list[bytes | memoryview]:
        """The next octets to hand over, about `limit` of them."""
        found: list[bytes | memoryview] = []
        skip = self._offset
        for data, _, _ in self._chunks:
            found.append(memoryview(data)[skip:] if skip else data)
            limit -= len(data) - skip
            if limit <= 0 or len(found) == _IOV:
                break
            skip = 0
        return found

    def advance(self, count: int) -> None:
        """`count` octets were handed to the socket."""
        self.size -= count
        chunks = self._chunks
        while count > 0:
            data, flight, step = chunks[0]
            left = len(data) - self._offset
            if flight is not None and (step != FINAL or count >= left):
                flight.written = step
            if count < left:
                self._offset += count
                return
            count -= left
            self._offset = 0
            chunks.popleft()

    def clear(self) -> None:
        """Write nothing more."""
        self._chunks.clear()
        self._offset = self.size = 0

    def touch(self, count: int) -> None:
        """TLS holds the next `count` octets in a record it will not give back: they count as begun."""
        count += self._offset
        for data, flight, step in self._chunks:
            if count <= 0:
                return
            if flight is not None and step != FINAL:
                flight.written = step
            count -= len(data)

    def drop(self, flights: set[Flight]) -> None:
        """Take back what nothing was written of."""
        self._chunks = deque(chunk for chunk in self._chunks if chunk[1] not in flights)
        self.size = sum(len(chunk[0]) for chunk in self._chunks) - self._offset
