"""One attempt on its way: the source of its letters for the SMTP loop, and what follows from each outcome."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from mailservice import clock
from mailservice.models import Reason, State
from mailservice.sending import entries, verdicts
from mailservice.sending.breaker import TroubleSort
from mailservice.sending.claims import Waiting
from mailservice.sending.hold import Held, Hold
from mailservice.sending.keeping import Keeper
from mailservice.sending.letters import BadLetter, LetterPress
from mailservice.sending.streaks import Streak
from mailservice.smtp import Accepted, Ambiguous, Deferred, Letter, NotSent, Outcome, Reply, Trouble

if TYPE_CHECKING:
    from mailservice.sending.sender import Sender

log = logging.getLogger(__name__)
PULSE = 0.2  # seconds
PATIENCE_AT_STOP = 4.0  # seconds that answers on their way are waited for when the process must end
SAME_MOMENT = 0.01  # seconds
REFUSALS_IN_A_ROW = 5
LOST_IN_A_ROW = 3
HOLD, WAITING, LEAVE_OUT = itemgetter(0), itemgetter(1), attrgetter("leave_out")
ACCEPTED = Accepted(Reply(250, None, ""))  # for whom it is enough to know that


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
        self._refused = Streak()
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

    def take(self, most: int) -> list[Letter]:
        keeper = self.keeper
        letters: list[Letter] = []
        if keeper.has_news or len(keeper.queue) < keeper.low_water:
            keeper.look()
        while (room := most - len(letters)) and not keeper.halted and keeper.is_permitted():
            if not (taken := keeper.take(room)):
                break
            letters += self._letters(taken)
        self._refused.take([letter.key[1].delivery_id for letter in letters])
        return letters

    def _letters(self, taken: list[Held]) -> list[Letter]:
        """The letters of those who may get one; the others have their results then."""
        if self.keeper.left_out or self.keeper.has_lost or any(map(LEAVE_OUT, map(WAITING, taken))):
            taken = [pair for pair in taken if self._may_have(*pair)]
        now = time.time()
        try:
            letters = self.letters.letters(taken, at=now)
        except BadLetter:
            letters = [letter for pair in taken if (letter := self._letter(pair, now))]
        for hold, some in _by_hold([letter.key for letter in letters]):
            hold.in_flight += len(some)
        return letters

    def _may_have(self, hold: Hold, waiting: Waiting) -> bool:
        """Whether a letter may be made; who is left out has his result then."""
        if hold.is_lost:
            return False
        if reason := waiting.leave_out or self.keeper.left_out.get(waiting.delivery_id):
            hold.keep(hold.own_entry(waiting, State.SKIPPED, reason, at=clock.now()))
        return not reason

    def _letter(self, pair: Held, now: float) -> Letter | None:
        """One letter; None where none can be built, and then it has its result."""
        try:
            return self.letters.letters([pair], at=now)[0]
        except BadLetter as error:
            hold, waiting = pair
            hold.keep(hold.own_entry(waiting, State.FAILED, Reason.BAD_MESSAGE, at=clock.now(), text=str(error)))
            return None

    def begin(self, keys: list[Held]) -> list[Held]:
        """Journal first, then the clock: who slept past the lease or the permission in between begins nothing."""
        keeper = self.keeper
        if keeper.halted:
            return []
        if keeper.left_out or keeper.has_lost:
            keys = [pair for pair in keys if self._may_still(*pair)]
        until = keeper.permitted_until
        try:
            for hold, some in _by_hold(keys):
                hold.begin([waiting.delivery_id for _, waiting in some])
                until = min(until, hold.lease_until)
        except OSError as error:
            keeper.halt(f"the journal cannot be written: {error}")
            return []
        now = clock.steady()
        if until <= now < keeper.permitted_until:
            keeper.halt("the lease has run out")
        return keys if now < until else []

    def _may_still(self, hold: Hold, waiting: Waiting) -> bool:
        return not hold.is_lost and waiting.delivery_id not in self.keeper.left_out

    def accept(self, keys: list[Held], replies: list[str]) -> None:
        """What end() would do for each of them, at once."""
        at, answered = self._moment(), iter(replies)
        for hold, some in _by_hold(keys):
            try:
                hold.accept(entries.accepted(self.attempt_id, map(WAITING, some), [next(answered) for _ in some], at))
            except OSError as error:
                self.keeper.halt(f"the journal cannot be written: {error}")
            finally:
                hold.landed(len(some))
        if not self.sender.pace.is_free:
            self._note_pace(keys)
        self.sender.burdens.accepted += len(keys)
        self._lost = 0
        if not self.sender.breaker_is_clean:
            self.keeper.try_database(self.sender.note_success)

    def _note_closing(self, waiting: Waiting, outcome: Outcome) -> None:
        """A server that closes at a letter's envelope may mean that its provider gets too many."""
        if isinstance(outcome, NotSent) and outcome.reply is not None:
            pace = self.sender.pace
            pace.note(pace.group(waiting.email), Deferred(outcome.reply))

    def _note_pace(self, pairs: list[Held]) -> None:
        pace = self.sender.pace
        for _, waiting in pairs:
            pace.note(pace.group(waiting.email), ACCEPTED)

    def end(self, key: Held, outcome: Outcome) -> None:
        hold, waiting = key
        try:
            self._account(hold, waiting, outcome)
        finally:
            hold.landed()

    def _account(self, hold: Hold, waiting: Waiting, outcome: Outcome) -> None:
        has_ended_it = isinstance(outcome, NotSent) and (outcome.at_hand or outcome.reply is not None)
        is_burden = has_ended_it and self.sender.burdens.add(waiting.delivery_id)
        judgement = verdicts.judge(
            self.attempt_id, hold.claim.number, waiting, outcome, self._moment(), is_burden=is_burden
        )
        entry = judgement.entry
        try:
            if entry is None:
                self._note_closing(waiting, outcome)
                self.keeper.take_back(hold, waiting, last=has_ended_it)
                return
            hold.keep(entry)
            hold.journal.end(entry)
        except OSError as error:  # what is known stands in memory: a full disk stops only what comes
            self.keeper.halt(f"the journal cannot be written: {error}")
        if is_burden:
            return  # it says nothing about the server
        pace = self.sender.pace
        if isinstance(outcome, Deferred) or not pace.is_free:
            pace.note(pace.group(waiting.email), outcome)
        is_sent = entry is not None and entry.state is State.SENT
        self.sender.burdens.accepted += is_sent
        if is_sent and self.sender.breaker_is_clean:
            self._lost = 0
        else:
            self._watch_streaks(waiting, outcome, judgement)

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

    def _watch_streaks(self, waiting: Waiting, outcome: Outcome, judgement: verdicts.Judgement) -> None:
        """Refusals and lost answers in a row say something about us or the server, not about the letters."""
        refusals = self._refused.refuse(waiting.delivery_id) if judgement.is_policy else 0
        self._lost = self._lost + 1 if isinstance(outcome, Ambiguous) else 0
        stop = Reason.REFUSED if refusals >= REFUSALS_IN_A_ROW else judgement.stop
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


def _by_hold(pairs: list[Held]) -> Iterable[tuple[Hold, list[Held]]]:
    """Neighbours of one batch together: nearly always that is all of them."""
    holds = set(map(HOLD, pairs))
    if len(holds) == 1:
        return [(holds.pop(), pairs)]
    return ((hold, list(some)) for hold, some in groupby(pairs, HOLD))
