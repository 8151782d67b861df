"""Rounds of outcomes: whether a server puts off so many letters of a group that it means us, not the letters."""

from __future__ import annotations

from mailservice.sending.pacing.permits import Bad
from mailservice.sending.verdicts import named_delay
from mailservice.smtp.outcome import Accepted, Deferred
from mailservice.smtp.reply import Reply

CODES = frozenset({421, 450, 451, 452})
ABOUT_THE_ADDRESS = ("4.1.", "4.2.")  # a full or greylisting mailbox says nothing about the others (RFC 3463)
FULL = 100  # outcomes
LASTS = 1.0  # seconds
SHARE = 0.1  # of letters put off makes a round bad
SHORTEST = 0.01  # seconds, for measuring


def is_about_pace(reply: Reply) -> bool:
    return reply.code in CODES and not (reply.enhanced or "").startswith(ABOUT_THE_ADDRESS)


class Round:
    """The outcomes of one group's letters, until there are enough or a second has passed."""

    __slots__ = ("_accepted", "_began", "_deferred", "_delay", "_delay_of_all")

    def __init__(self, began: float):
        self._began = began
        self._accepted = self._deferred = 0
        self._delay = self._delay_of_all = 0.0

    @property
    def is_full(self) -> bool:
        return self._accepted + self._deferred >= FULL

    def is_over(self, now: float) -> bool:
        return now - self._began >= LASTS

    def count(self, outcome: Accepted | Deferred) -> None:
        if isinstance(outcome, Accepted):
            self._accepted += 1
            return
        self._deferred += 1
        delay = named_delay(outcome.reply).total_seconds()
        self._delay = max(self._delay, delay)
        if outcome.reply.code == 421:
            self._delay_of_all = max(self._delay_of_all, delay)

    def verdict(self, now: float, *, may_hold: bool) -> Bad | None:
        """`may_hold`: a delay that the server named is for the whole group; if not, only one with 421 is."""
        count = self._accepted + self._deferred
        if self._deferred < SHARE * count:
            return None
        seconds = max(now - self._began, SHORTEST)
        delay = self._delay if may_hold else self._delay_of_all
        return Bad(self._accepted / seconds, count / seconds, delay)
