"""Refusals in a row."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

REMEMBERED = 1_000  # letters: more than a sender has in flight


class Streak:
    """How many letters in a row were refused, in the order in which they were taken.

    Not in the order of the answers: a refusal comes at the envelope, an acceptance only after the content, so with
    many connections a third of bad addresses would answer five times before anybody else does.
    """

    def __init__(self) -> None:
        self._order: deque[int] = deque(maxlen=REMEMBERED)
        self._refused: set[int] = set()

    def take(self, delivery_ids: Iterable[int]) -> None:
        self._order.extend(delivery_ids)

    def refuse(self, delivery_id: int) -> int:
        """How long the row is that this one stands in; a letter whose answer is not known yet ends it."""
        self._refused.add(delivery_id)
        if len(self._refused) > 2 * REMEMBERED:
            self._refused.intersection_update(self._order)
        length = 0
        is_its_own = False
        for taken in reversed(self._order):
            if taken in self._refused:
                length += 1
                is_its_own = is_its_own or taken == delivery_id
            elif is_its_own:
                break
            else:
                length = 0
        return length
