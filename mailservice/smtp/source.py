"""Where letters come from: what the loop asks of the one who has them."""

from collections import deque
from typing import Any, Protocol

from .letter import Letter
from .outcome import NotSent, Outcome, Trouble


class Source(Protocol):
    """The one who has letters. All is called in the loop's thread; what it raises ends run() and every connection.

    Every letter that take() gave is ended exactly once, by accept() or by end(); all but take() speaks of their keys.
    """

    def take(self, most: int) -> list[Letter]:
        """Letters whose envelopes may be written now, at most so many; none when there is none at this moment."""

    def begin(self, keys: list[Any]) -> list[Any]:
        """Just before the first octet of their contents is handed to the socket: those that may go, in order.

        The very same objects, by which the others are known.
        """

    def accept(self, keys: list[Any], replies: list[str]) -> None:
        """The server took them: what it said to each, as str(Reply) would have it, which is plain ASCII."""

    def end(self, key: Any, outcome: Outcome) -> None:
        """What became of one letter; that it was accepted is said here, too, where the answer needed a closer look."""

    def trouble(self, trouble: Trouble) -> None:
        """A connection failed, at its opening or with letters in flight; their end() has been called before."""

    def ready(self) -> None:
        """A connection has been opened up to where letters may follow: the server is well."""


AT_ONCE = 24  # letters made in one go: eight cost more each, and more than these gain nothing


class Gathering:
    """What the connections say in one round: acceptances are told together, but none after what was heard later.

    Who counts lost answers in a row must not hear three of them before the acceptances that stood between.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._accepted: list[Any] = []
        self._replies: list[str] = []
        self.begin = source.begin

    def accept(self, keys: list[Any], replies: list[str]) -> None:
        self._accepted += keys
        self._replies += replies

    def end(self, key: Any, outcome: Outcome) -> None:
        self.tell()
        self._source.end(key, outcome)

    def tell(self) -> None:
        """Tells the source what was gathered."""
        if self._accepted:
            keys, replies = self._accepted, self._replies
            self._accepted, self._replies = [], []
            self._source.accept(keys, replies)


class Supply:
    """Letters for the connections: first those in hand, asked for before there was a connection to take them."""

    __slots__ = ("dry", "hand", "source", "wanted")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.wanted = 1  # connections that may ask for letters in this round
        self.hand: deque[Letter] = deque()
        self.dry = False  # the source had none when last asked

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing when last asked."""
        return self.dry and not self.hand

    def take(self, most: int) -> list[Letter]:
        """The next letters for a connection that has room."""
        if self.hand:
            return [self.hand.popleft() for _ in range(min(most, len(self.hand)))]
        letters = self.source.take(max(most, min(self.wanted * most, AT_ONCE)))
        self.dry = not letters
        self.hand.extend(letters[most:])
        return letters[:most]

    def reach(self, count: int) -> bool:
        """Try to have `count` letters in hand."""
        while len(self.hand) < count and (letters := self.source.take(count - len(self.hand))):
            self.hand.extend(letters)
        self.dry = len(self.hand) < count
        return not self.dry

    def give_back(self, reason: str) -> None:
        """What is in hand is not sent."""
        while self.hand:
            self.source.end(self.hand.popleft().key, NotSent(reason))


class Nobody:
    """The source between runs: nothing is in flight then."""

    def take(self, most: int) -> list[Letter]:
        return []

    def begin(self, keys: list[Any]) -> list[Any]:
        return []

    def accept(self, keys: list[Any], replies: list[str]) -> None: ...

    def end(self, key: Any, outcome: Outcome) -> None: ...

    def trouble(self, trouble: Trouble) -> None: ...

    def ready(self) -> None: ...


class Witness(Nobody):
    """A source that only notes what goes wrong."""

    def __init__(self, failed: list[Trouble]) -> None:
        self._failed = failed

    def trouble(self, trouble: Trouble) -> None:
        self._failed.append(trouble)


def nothing(most: int) -> list[Letter]:
    """A supply that is dry."""
    return []
