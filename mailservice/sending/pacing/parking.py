"""Letters in a sender's hand whose turn has not come: each waits for permits of its group."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from mailservice import clock
from mailservice.sending.pacing.pace import LONGEST, Pace

T = TypeVar("T")


class Parking(Generic[T]):
    """Letters by group, in the order in which they came."""

    def __init__(self, steady: Callable[[], float] = clock.steady) -> None:
        self.count = 0
        self._steady = steady
        self._letters: dict[str, deque[tuple[int, T]]] = {}
        self._came = 0
        self._booked: dict[str, float] = {}  # up to when a group's permits are spoken for

    def take(self, pace: Pace) -> T | None:
        """The first letter that may go now, with its permits."""
        heads = sorted((letters[0][0], group) for group, letters in self._letters.items() if letters)
        for _, group in heads:
            if pace.may(group):
                self.count -= 1
                return self._letters[group].popleft()[1]
        return None

    def is_next(self, group: str) -> bool:
        """Whether the next letter of the group goes first: none of it waits already."""
        return not self._letters.get(group)

    def park(self, pace: Pace, group: str, letter: T) -> float:
        """Keeps the letter and gives 0, or does not keep it and gives the seconds after which its turn comes."""
        seconds = self._book(pace, group)
        if seconds > LONGEST:
            return seconds
        self._letters.setdefault(group, deque()).append((self._came, letter))
        self._came += 1
        self.count += 1
        return 0.0

    def give_up(self, pace: Pace) -> list[tuple[T, float]]:
        """Keeps no longer what by now would wait too long; with the seconds after which its turn comes."""
        found = []
        for group, letters in self._letters.items():
            if letters and pace.wait(group) > LONGEST:
                self._booked.pop(group, None)
                found += [(letter, self._book(pace, group)) for _, letter in letters]
                letters.clear()
        self.count -= len(found)
        return found

    def drop(self, is_gone: Callable[[T], bool]) -> None:
        """Keeps no longer the letters of which this is true."""
        for group, letters in self._letters.items():
            self._letters[group] = deque(pair for pair in letters if not is_gone(pair[1]))
        self.count = sum(map(len, self._letters.values()))

    def _book(self, pace: Pace, group: str) -> float:
        """Seconds until the next permit of the group that is not spoken for: now it is."""
        now = self._steady()
        at = max(self._booked.get(group, 0.0), now + pace.wait(group))
        self._booked[group] = at + 1 / pace.rate(group)
        return at - now

    def held_by_server(self, pace: Pace) -> int:
        """How many wait for the server's own limits only: to fetch more would be of no use."""
        return sum(len(letters) for group, letters in self._letters.items() if pace.rate(group) == float("inf"))
