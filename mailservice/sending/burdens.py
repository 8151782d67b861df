"""Letters over which a mail server hangs up while it takes others."""

from __future__ import annotations

ENDS = 3  # connections that ended over one letter, and then it is a burden
REMEMBERED = 1_000  # letters


class Burdens:
    """What a sender has seen of one server.

    A letter that was not sent through no fault of its own is tried again at once. Where the server hangs up at this
    very letter each time, that would keep all others from their turn, and open the breaker for everybody.
    """

    def __init__(self) -> None:
        self.accepted = 0  # letters that the server has taken
        self._ends: dict[int, tuple[int, int]] = {}  # connections that ended, and `accepted` before; by delivery

    def add(self, delivery_id: int) -> bool:
        """A connection ended over this letter; whether the letter is why, and is to be put off."""
        ends, before = self._ends.pop(delivery_id, (0, self.accepted))
        if ends + 1 >= ENDS and self.accepted > before:
            return True
        self._ends[delivery_id] = ends + 1, before
        if len(self._ends) > REMEMBERED:
            del self._ends[next(iter(self._ends))]
        return False
