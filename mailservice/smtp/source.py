"""Where letters come from: what the loop asks of the one who has them."""

from collections import deque
from typing import Protocol

from .letter import Letter
from .outcome import NotSent, Outcome, Trouble


class Source(Protocol):
    """The one who has letters. All is called in the loop's thread; what it raises ends run() and every connection."""

    def next(self) -> Letter | None:
        """A letter whose envelope may be written now; None when there is none at this moment."""

    def begin(self, letter: Letter) -> bool:
        """Just before the first octet of the content is handed to the socket. False withdraws the letter."""

    def end(self, letter: Letter, outcome: Outcome) -> None:
        """Exactly once for every letter that next() gave."""

    def trouble(self, trouble: Trouble) -> None:
        """A connection failed, at its opening or with letters in flight; their end() has been called before."""

    def ready(self) -> None:
        """A connection has been opened up to where letters may follow: the server is well."""


class Supply:
    """Letters for the connections: first those in hand, asked for before there was a connection to take them."""

    __slots__ = ("dry", "hand", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.hand: deque[Letter] = deque()
        self.dry = False  # the source had none when last asked

    def next(self) -> Letter | None:
        """The next letter for a connection that has room."""
        if self.hand:
            return self.hand.popleft()
        letter = self.source.next()
        self.dry = letter is None
        return letter

    def reach(self, count: int) -> bool:
        """Try to have `count` letters in hand."""
        while len(self.hand) < count and (letter := self.source.next()) is not None:
            self.hand.append(letter)
        self.dry = len(self.hand) < count
        return not self.dry

    def give_back(self, reason: str) -> None:
        """What is in hand is not sent."""
        while self.hand:
            self.source.end(self.hand.popleft(), NotSent(reason))


class Nobody:
    """The source between runs: nothing is in flight then."""

    def next(self) -> Letter | None:
        return None

    def begin(self, letter: Letter) -> bool:
        return False

    def end(self, letter: Letter, outcome: Outcome) -> None: ...

    def trouble(self, trouble: Trouble) -> None: ...

    def ready(self) -> None: ...


class Witness(Nobody):
    """A source that only notes what goes wrong."""

    def __init__(self, failed: list[Trouble]) -> None:
        self._failed = failed

    def trouble(self, trouble: Trouble) -> None:
        self._failed.append(trouble)


def nothing() -> Letter | None:
    """A supply that is dry."""
    return None
