"""The words of a contest: contenders send letters to sinks and are measured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Missing(Exception):
    """Something that this machine has not; the text says what, for the table."""


@contextlib.contextmanager
def noting(missing: dict[str | Place, str], *what: str | Place) -> Iterator[None]:
    """Goes on without what is missing, and remembers the reason for each of `what` is then without figures."""
    try:
        yield
    except Missing as why:
        missing |= dict.fromkeys(what, str(why))


class Place(NamedTuple):
    """A kind of sink. `delay`: milliseconds for which it keeps back each batch of replies, as a round trip would."""

    server: str
    delay: int = 0
    has_chunking: bool = False

    @property
    def way(self) -> str:
        return "BDAT" if self.has_chunking else "DATA"

    def __str__(self) -> str:
        return f"{self.server}, {self.delay} ms, {self.way}" if self.delay else f"{self.server}, {self.way}"


class Sink(NamedTuple):
    place: Place
    port: int


class Measured(NamedTuple):
    rate: float  # letters a second
    cpu: float  # microseconds of CPU for each letter, of everything but the sink


class Contender(Protocol):
    name: str
    about: str  # version and manner, for the reader
    share: float  # letters it sends while the fastest send one

    def takes_part(self, place: Place) -> bool: ...

    def per_round_trip(self, place: Place) -> float:
        """Letters it gets through in one round trip, by the way it talks: its bound where the sink is slow."""

    def run(self, letters: int, sink: Sink) -> Measured:
        """Sends so many letters. Raises Missing where it cannot."""


class Classic:
    """Who knows no CHUNKING."""

    connections = 1
    round_trips = 4  # for each letter, without PIPELINING: MAIL, RCPT, DATA, the dot

    def takes_part(self, place: Place) -> bool:
        return not place.has_chunking

    def per_round_trip(self, place: Place) -> float:
        return self.connections / self.round_trips
