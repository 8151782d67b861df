"""What a server nearly always says is heard for a burst of letters at once.

Where all that it said is plain yeses, the letters they are about are accepted together. Whatever else it says is
judged reply by reply, as Exchange does it; both ways come to the same.
"""

from typing import Any

from . import envelope
from .exchange import Exchange
from .flight import DATA, FINAL, MAIL, RSET, Flight
from .letter import Letter
from .outcome import NotSent
from .reply import SHOWN
from .terms import Broken, Handler, Mode

REPLIES = 4  # to a letter by BDAT: RSET, MAIL, RCPT, content


class BurstExchange(Exchange):
    """An exchange that queues several whole letters, and hears several plain replies, at once."""

    def take(self, letters: list[Letter], handler: Handler) -> bool:
        if self.mode is not Mode.CHUNKING:
            return super().take(letters, handler)
        fit = self._fit(letters, handler)
        begun = handler.begin([letter.key for letter in fit])
        if len(begun) < len(fit):
            fit = self._allowed(fit, begun, handler)
        chunks: list[bytes] = []
        end = self._out.queued
        for letter in fit:
            content, start = letter.content, end
            size = len(content)
            head = envelope.ahead(letter, self._offers, size, f"BDAT {size} LAST", reset=self._reset)
            chunks += (head, content)
            end = start + len(head) + size
            self.flights.append(Flight(letter.key, RSET if self._reset else MAIL, start, end))
            self._reset = True
        self.taken += len(fit)
        self._out.extend(chunks, end)
        return len(fit) == len(letters)

    def _allowed(self, letters: list[Letter], begun: list[Any], handler: Handler) -> list[Letter]:
        """Those letters that may go; the others end here."""
        allowed = set(map(id, begun))
        for letter in letters:
            if id(letter.key) not in allowed:
                handler.end(letter.key, NotSent("withdrawn"))
        return [letter for letter in letters if id(letter.key) in allowed]

    def hear_yeses(self, lines: list[str], handler: Handler) -> None:
        """The same for replies that are all a plain 250, but for a 354 at the end: at once where they are as usual."""
        at, count = 0, len(lines)
        yeses = count - lines[-1].startswith("354")
        if self.mode is Mode.PIPELINING and self._is_turn(lines):
            handler.accept([self.flights.popleft().key], lines[:1])
            self.cleared = self.flights[0]
            self.cleared.awaiting = FINAL
            return
        while at < count:
            finals = lines[at + REPLIES - 1 : yeses : REPLIES]
            if letters := self._answered(finals):
                handler.accept([self.flights.popleft().key for _ in range(letters)], finals[:letters])
                at += REPLIES * letters
            else:
                self.answer((int(lines[at][:3]), lines[at].encode()), handler)
                at += 1

    def _is_turn(self, lines: list[str]) -> bool:
        """Whether they are a yes to one letter, and yeses to the whole envelope of the next."""
        if len(lines) != REPLIES or len(self.flights) != 2 or self._yes is None or self.closing or self.stopped:
            return False
        served, following = self.flights
        return (
            lines[0].startswith(self._yes)
            and len(lines[0]) <= SHOWN
            and lines[-1].startswith("354")
            and served.awaiting == FINAL
            and served.settled is None
            and served.end <= self._out.handed
            and following.awaiting == MAIL
            and following.written(self._out) == DATA
        )

    def go_on(self, is_begun: bool) -> None:
        """Whether the letter that is `cleared` may go is known."""
        flight, self.cleared = self.cleared, None
        if flight is None:
            return
        if not is_begun:
            raise Broken("withdrawn", quiet=True)  # hanging up is the only way back from here
        self._hand_over(flight)
