"""One attempt on its way: the source of its letters for the SMTP loop, and the keeper of their results."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from mailservice import clock
from mailservice.models import Reason, State
from mailservice.sending import books, verdicts
from mailservice.sending.batches import Waiting
from mailservice.sending.books import Committed
from mailservice.sending.breaker import TroubleSort
from mailservice.sending.hold import Hold
from mailservice.sending.letters import BadLetter, LetterPress
from mailservice.sending.permission import Verdict
from mailservice.smtp import Accepted, Ambiguous, Letter, Outcome, Trouble

if TYPE_CHECKING:
    from mailservice.sending.sender import Claiming, Sender

log = logging.getLogger(__name__)
PULSE = 0.25  # seconds
COMMIT_EVERY = 0.9  # seconds; permission is asked as often
COMMIT_MOST = 2_000  # results
LOW_WATER = 300  # letters at hand below which the next batch is claimed
PATIENCE_AT_STOP = 7.0  # seconds that answers on their way are waited for when the process must end
REFUSALS_IN_A_ROW = 5
LOST_IN_A_ROW = 3
DATABASE_WAITS = (0.1, 0.5, 1, 2, 4, 8)  # seconds between the last tries to commit


class Run:
    """`halted` says why the sender must not go on with this attempt now; empty while all is well."""

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
        self.halted = ""
        self._must_stop = must_stop
        self._hurry = hurry
        self._queue: deque[tuple[Hold, Waiting]] = deque()
        self._taken: dict[int, tuple[Hold, Waiting]] = {}
        self._holds: dict[int, Hold] = {}  # by the batch's number
        self._left_out: dict[int, Reason] = {}
        self._claiming: Claiming | None = None
        self._committing: Future[Committed] | None = None
        self._ending: set[int] = set()  # numbers of the batches that this commit gives back
        self._dry = False  # no batch was free when last asked
        self._committed_at = clock.steady()
        self._done = 0
        self._refusals = 0
        self._lost = 0

    def run(self) -> int:
        """Sends batch after batch, or what may be sent of them now; returns how many letters got a result."""
        try:
            while not self.halted and not (self._dry and not self._queue):
                self._await_claim()
                self.sender.loop.run(self, pulse=self._pulse, interval=PULSE, patience=self._patience)
            self._finish()
        except BaseException:
            for hold in self._holds.values():
                hold.journal.close(keep=True)  # they speak for us when we cannot
            raise
        return self._done

    # What the loop asks of us

    def next(self) -> Letter | None:
        self._claim_more()
        while self._queue and not self.halted:
            hold, waiting = self._queue.popleft()
            recipient = waiting.recipient
            if hold.claim.number not in self._holds:
                continue  # taken from us: whoever took it says what becomes of it
            if not hold.may_begin():
                self._queue.appendleft((hold, waiting))
                self._halt("the lease has run out")
                break
            reason = waiting.leave_out or self._left_out.get(recipient.delivery_id)
            if reason:
                hold.keep(hold.own_entry(waiting, State.SKIPPED, reason, at=clock.now()))
                continue
            try:
                letter = self.letters.letter(recipient, at=time.time())
            except BadLetter as error:
                hold.keep(hold.own_entry(waiting, State.FAILED, Reason.BAD_MESSAGE, at=clock.now(), text=str(error)))
                continue
            self._taken[recipient.delivery_id] = hold, waiting
            return letter
        return None

    def begin(self, letter: Letter) -> bool:
        """Journal first, then the clock: who slept past the lease in between begins nothing."""
        hold = self._taken[letter.key][0]
        try:
            hold.begin(letter.key)
        except OSError as error:
            self._halt(f"the journal cannot be written: {error}")
            return False
        return not self.halted and hold.may_begin()

    def end(self, letter: Letter, outcome: Outcome) -> None:
        hold, waiting = self._taken.pop(letter.key)
        judgement = verdicts.judge(self.attempt_id, hold.claim.number, waiting, outcome, clock.now())
        try:
            if judgement.entry is None:
                self._queue.appendleft((hold, waiting))
                hold.take_back(letter.key)
                return
            hold.keep(judgement.entry)
            hold.journal.end(judgement.entry)
        except OSError as error:  # what is known stands in memory: a full disk stops only what comes
            self._halt(f"the journal cannot be written: {error}")
        if isinstance(outcome, Accepted) and self.sender.breaker_is_clean:
            self._refusals = self._lost = 0
        else:
            self._watch_streaks(outcome, judgement)

    def trouble(self, trouble: Trouble) -> None:
        self._try_database(lambda: self.sender.note_trouble(trouble))
        if self.sender.breaker_is_open:
            self.halted = self.halted or "the mail server is away"

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
            self._try_database(lambda: self.sender.stop(self.attempt_id, stop, reply))
            self._halt(f"the attempt stops: {reply}")
        if not isinstance(outcome, Ambiguous):
            self._try_database(self.sender.note_success)
        elif self._lost >= LOST_IN_A_ROW:
            text = outcome.reason
            self._try_database(lambda: self.sender.open_breaker(TroubleSort.AMBIGUOUS, text))
            self._halt(text)

    def _halt(self, why: str) -> None:
        if not self.halted:
            log.warning("Attempt %d halts: %s", self.attempt_id, why)
            self.halted = why

    def _try_database(self, act: Callable[[], None]) -> None:
        try:
            act()
        except DBAPIError as error:
            self._halt(f"the database is away: {error.orig}")

    # Claims and commits

    def _claim_more(self) -> None:
        """Sees to it that the next batch is on its way before this one is through."""
        if self._claiming is None:
            if len(self._queue) < LOW_WATER and not self._dry and not self.halted:
                try:
                    self._claiming = self.sender.claim(self.attempt_id)
                except OSError as error:
                    self._halt(f"the journal cannot be written: {error}")
        elif self._claiming.future.done():
            self._take_claim()

    def _take_claim(self) -> None:
        claiming, self._claiming = self._claiming, None
        assert claiming is not None
        try:
            claim = claiming.future.result()
        except DBAPIError as error:
            claiming.journal.close(keep=True)  # who knows whether the claim was made
            self._halt(f"the database is away: {error.orig}")
            return
        if claim is None:
            claiming.journal.close()
            self._dry = True
            return
        hold = Hold(claim, claiming.journal, leased_at=claiming.at)
        self._holds[claim.number] = hold
        self._queue.extend((hold, waiting) for waiting in claim.waiting)

    def _await_claim(self) -> None:
        self._claim_more()
        while self._claiming and not self._queue:
            wait([self._claiming.future], timeout=PULSE)
            self._pulse()
            self._claim_more()

    def _pulse(self) -> bool:
        """Every quarter of a second: what is known goes into the ledger, and whether we may go on is asked."""
        if self._committing is None:
            pending = sum(hold.pending for hold in self._holds.values())
            if self._holds and (pending >= COMMIT_MOST or clock.steady() - self._committed_at >= COMMIT_EVERY):
                self._commit(last=False)
        elif self._committing.done():
            self._try_database(self._take_commit)
        if self._must_stop():
            self.halted = self.halted or "asked to stop"
        return not self.halted

    def _patience(self) -> float | None:
        """Seconds that answers on their way are still waited for; None: as long as their deadline."""
        return PATIENCE_AT_STOP if self._hurry() else None

    def _commit(self, *, last: bool) -> None:
        parts = [hold.part(last=last) for hold in self._holds.values()]
        self._committing = self.sender.books.submit(books.commit, self.attempt_id, parts)
        self._committed_at = clock.steady()
        self._ending = {part.claim.number for part in parts if part.is_through or part.give_back}

    def _take_commit(self) -> None:
        """Raises DBAPIError when it failed; then everything waits for the next commit."""
        committing, self._committing = self._committing, None
        assert committing is not None
        try:
            found = committing.result()
        except DBAPIError:
            for hold in self._holds.values():
                hold.not_committed()
            raise
        self._left_out.update(found.left_out)
        for number, hold in list(self._holds.items()):
            if number in found.fenced:
                log.error("Batch %d of attempt %d was taken from us", number, self.attempt_id)
                hold.journal.close(keep=True)  # what we know of it is left to whoever judges it
                del self._holds[number]
                continue
            self._done += hold.committed()
            hold.renewed(found.at)
            if number in self._ending:
                hold.journal.close()
                del self._holds[number]
        if found.permission.verdict is not Verdict.GO:
            self._halt(f"{found.permission.verdict.value}, {found.permission.reason or 'closed'}")

    def _finish(self) -> None:
        """Everything known goes into the ledger, and what is left of the batches is given back."""
        if self._claiming:
            wait([self._claiming.future])
            self._take_claim()
        for pause in (*DATABASE_WAITS, None):
            try:
                if self._committing:
                    self._take_commit()
                if self._holds:
                    self._commit(last=True)
                    self._take_commit()
                return
            except DBAPIError:
                if pause is None:
                    raise
                time.sleep(pause)
