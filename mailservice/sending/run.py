"""One attempt on its way: the source of its letters for the SMTP loop, and what follows from each outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from mailservice import clock
from mailservice.models import Reason, State
from mailservice.sending import verdicts
from mailservice.sending.batches import Waiting
from mailservice.sending.breaker import TroubleSort
from mailservice.sending.hold import Hold
from mailservice.sending.keeping import Keeper
from mailservice.sending.letters import BadLetter, LetterPress
from mailservice.smtp import Ambiguous, Deferred, Letter, Outcome, Trouble

if TYPE_CHECKING:
    from mailservice.sending.sender import Sender

log = logging.getLogger(__name__)
PULSE = 0.2  # seconds
PATIENCE_AT_STOP = 4.0  # seconds that answers on their way are waited for when the process must end
SAME_MOMENT = 0.005  # seconds
REFUSALS_IN_A_ROW = 5
LOST_IN_A_ROW = 3


class Run:
    """What the SMTP loop asks for letters and tells their outcomes; a keeper holds what it needs to know."""

    def __init__(
        self,
        sender: Sender,
        attempt_id: int,
        letters: LetterPress,
        *,
        must_stop: Callable[[], bool],
        hurry: Callable[[], bool],
    ):
        self.sender = sender
        self.attempt_id = attempt_id
        self.letters = letters
        self.keeper = Keeper(sender, attempt_id)
        self._must_stop = must_stop
        self._hurry = hurry
        self._refusals = 0
        self._lost = 0
        self._moment_of, self._shared_moment = time.time(), clock.now()

    def run(self) -> int:
        """Sends batch after batch, or what may be sent of them now; returns how many letters got a result."""
        keeper = self.keeper
        try:
            while not keeper.halted and not keeper.is_exhausted:
                keeper.await_letters(self._pulse)
                self.sender.loop.run(self, pulse=self._pulse, interval=PULSE, patience=self._patience)
                if keeper.parked.count:
                    self.sender.rotate()
            keeper.finish()
        except BaseException:
            for journal in keeper.open_journals():
                journal.close(keep=True)  # they speak for us when we cannot
            raise
        return keeper.done

    def _pulse(self) -> bool:
        """Several times a second, whatever the server does; whether to go on."""
        self.keeper.turn()
        if self._must_stop():
            self.keeper.halted = self.keeper.halted or "asked to stop"
        return not self.keeper.halted

    def _patience(self) -> float | None:
        """Seconds that answers on their way are still waited for; None: as long as their deadline."""
        return PATIENCE_AT_STOP if self._hurry() else None

    # What the loop asks of us

    def next(self) -> Letter | None:
        keeper = self.keeper
        if keeper.has_news or len(keeper.queue) < keeper.low_water:
            keeper.look()
        while not keeper.halted and keeper.is_permitted() and (taken := keeper.take()):
            hold, waiting = taken
            if not hold.is_lost and (letter := self._letter(hold, waiting, taken)):
                return letter
        return None

    def _letter(self, hold: Hold, waiting: Waiting, key: object) -> Letter | None:
        """None where none may be sent: then it has its result."""
        reason = waiting.leave_out
        if self.keeper.left_out:
            reason = reason or self.keeper.left_out.get(waiting.recipient.delivery_id)
        if reason:
            hold.keep(hold.own_entry(waiting, State.SKIPPED, reason, at=clock.now()))
            return None
        try:
            letter = self.letters.letter(waiting.recipient, at=time.time(), key=key)
        except BadLetter as error:
            hold.keep(hold.own_entry(waiting, State.FAILED, Reason.BAD_MESSAGE, at=clock.now(), text=str(error)))
            return None
        hold.in_flight += 1
        return letter

    def begin(self, letter: Letter) -> bool:
        """Journal first, then the clock: who slept past the lease or the permission in between begins nothing."""
        keeper = self.keeper
        hold, waiting = letter.key
        delivery_id = waiting.recipient.delivery_id
        if hold.is_lost or keeper.halted or delivery_id in keeper.left_out:
            return False
        try:
            hold.begin(delivery_id)
        except OSError as error:
            keeper.halt(f"the journal cannot be written: {error}")
            return False
        now = clock.steady()
        if now >= hold.lease_until:
            keeper.halt("the lease has run out")
        return now < hold.lease_until and now < keeper.permitted_until

    def end(self, letter: Letter, outcome: Outcome) -> None:
        hold, waiting = letter.key
        try:
            self._account(hold, waiting, letter, outcome)
        finally:
            hold.landed()

    def _account(self, hold: Hold, waiting: Waiting, letter: Letter, outcome: Outcome) -> None:
        judgement = verdicts.judge(self.attempt_id, hold.claim.number, waiting, outcome, self._moment())
        entry = judgement.entry
        try:
            if entry is None:
                self.keeper.queue.appendleft((hold, waiting))
                hold.take_back(waiting.recipient.delivery_id)
                return
            hold.keep(entry)
            hold.journal.end(entry)
        except OSError as error:  # what is known stands in memory: a full disk stops only what comes
            self.keeper.halt(f"the journal cannot be written: {error}")
        pace = self.sender.pace
        if isinstance(outcome, Deferred) or not pace.is_free:
            pace.note(pace.group(waiting.recipient.email), outcome)
        if entry is not None and entry.state is State.SENT and self.sender.breaker_is_clean:
            self._refusals = self._lost = 0
        else:
            self._watch_streaks(outcome, judgement)

    def _moment(self) -> datetime:
        """Now, to some milliseconds: answers that come together share it."""
        at = time.time()
        if not 0 <= at - self._moment_of < SAME_MOMENT:
            self._moment_of, self._shared_moment = at, clock.now()
        return self._shared_moment

    def trouble(self, trouble: Trouble) -> None:
        self.keeper.try_database(lambda: self.sender.note_trouble(trouble))
        if self.sender.breaker_is_open:
            self.keeper.halted = self.keeper.halted or "the mail server is away"

    def ready(self) -> None:
        pass

    # What follows from it

    def _watch_streaks(self, outcome: Outcome, judgement: verdicts.Judgement) -> None:
        """Refusals and lost answers in a row say something about us or the server, not about the letters."""
        self._refusals = self._refusals + 1 if judgement.is_policy else 0
        self._lost = self._lost + 1 if isinstance(outcome, Ambiguous) else 0
        stop = Reason.REFUSED if self._refusals >= REFUSALS_IN_A_ROW else judgement.stop
        if stop and judgement.entry:
            reply = judgement.entry.reply
            self.keeper.try_database(lambda: self.sender.stop(self.attempt_id, stop, reply))
            self.keeper.halt(f"the attempt stops: {reply}")
        if not isinstance(outcome, Ambiguous):
            self.keeper.try_database(self.sender.note_success)
        elif self._lost >= LOST_IN_A_ROW and not self.keeper.halted:
            text = outcome.reason
            self.keeper.try_database(lambda: self.sender.open_breaker(TroubleSort.AMBIGUOUS, text))
            self.keeper.halt(text)
