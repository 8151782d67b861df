"""One batch on its way: the source of its letters for the SMTP loop, and the keeper of their results."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from mailservice import clock
from mailservice.database import write
from mailservice.models import Reason, State
from mailservice.sending import batches, ledger, permission, verdicts
from mailservice.sending.batches import Claim, Waiting
from mailservice.sending.breaker import TroubleSort
from mailservice.sending.entries import Entry
from mailservice.sending.letters import BadLetter, LetterPress
from mailservice.sending.permission import Verdict
from mailservice.smtp import Ambiguous, Letter, Outcome, Trouble

if TYPE_CHECKING:
    from mailservice.sending.sender import Sender

log = logging.getLogger(__name__)
COMMIT_EVERY = 0.9  # seconds; permission is asked as often
COMMIT_MOST = 250  # results
PATIENCE_AT_STOP = 7.0  # seconds that answers on their way are waited for when the process must end
REFUSALS_IN_A_ROW = 5
LOST_IN_A_ROW = 3
DATABASE_WAITS = (0.1, 0.5, 1, 2, 4, 8)  # seconds between the last tries to commit


class BatchRun:
    """`halted` says that the sender must not go on with this attempt now."""

    def __init__(
        self,
        sender: Sender,
        claim: Claim,
        letters: LetterPress,
        *,
        leased_at: float,
        must_stop: Callable[[], bool],
        hurry: Callable[[], bool],
    ):
        self.sender = sender
        self.claim = claim
        self.letters = letters
        self.halted = False
        self._must_stop = must_stop
        self._hurry = hurry
        self._lease_until = leased_at + claim.lease.total_seconds()
        self._queue = deque(claim.waiting)
        self._left_out = {w.recipient.delivery_id: w.leave_out for w in claim.waiting if w.leave_out}
        self._taken: dict[int, Waiting] = {}
        self._begun: set[int] = set()
        self._pending: list[Entry] = []
        self._committed_at = clock.steady()
        self._done = 0
        self._fenced = False
        self._refusals = 0
        self._lost = 0

    def run(self) -> int:
        """Sends the batch, or what may be sent of it now; returns how many letters got a result."""
        self.sender.loop.run(self, pulse=self._pulse, patience=self._patience)
        self._finish()
        return self._done

    # What the loop asks of us

    def next(self) -> Letter | None:
        while self._queue and self._may_begin():
            waiting = self._queue.popleft()
            recipient = waiting.recipient
            if reason := self._left_out.get(recipient.delivery_id):
                self._keep(self._own_entry(waiting, State.SKIPPED, reason))
                continue
            try:
                letter = self.letters.letter(recipient, at=time.time())
            except BadLetter as error:
                self._keep(self._own_entry(waiting, State.FAILED, Reason.BAD_MESSAGE, str(error)))
                continue
            self._taken[recipient.delivery_id] = waiting
            return letter
        return None

    def begin(self, letter: Letter) -> bool:
        """Journal first, then the clock: who slept past the lease in between begins nothing."""
        try:
            self.sender.journal.begin(self.claim.attempt_id, self.claim.number, letter.key)
        except OSError as error:
            self._halt(f"the journal cannot be written: {error}")
            return False
        self._begun.add(letter.key)
        return self._may_begin()

    def end(self, letter: Letter, outcome: Outcome) -> None:
        waiting = self._taken.pop(letter.key)
        judgement = verdicts.judge(self.claim.attempt_id, self.claim.number, waiting, outcome, clock.now())
        entry = judgement.entry
        if entry is None:
            self._take_back(waiting)
            return
        self._begun.discard(letter.key)
        self._keep(entry)
        self._write_journal(lambda: self.sender.journal.end(entry))
        self._watch_streaks(outcome, judgement)

    def trouble(self, trouble: Trouble) -> None:
        self._halt_without_database(lambda: self.sender.note_trouble(trouble))
        if self.sender.breaker_is_open:
            self.halted = True

    def ready(self) -> None:
        pass

    # What follows from it

    def _may_begin(self) -> bool:
        return not (self.halted or self._fenced) and clock.steady() < self._lease_until

    def _keep(self, entry: Entry) -> None:
        self._pending.append(entry)

    def _own_entry(self, waiting: Waiting, state: State, reason: Reason, text: str | None = None) -> Entry:
        return Entry(
            self.claim.attempt_id,
            self.claim.number,
            waiting.recipient.delivery_id,
            waiting.round,
            state,
            clock.now(),
            reply=text,
            reason=reason,
        )

    def _take_back(self, waiting: Waiting) -> None:
        """Surely not sent: it goes back to the head of the queue, and is charged no try."""
        delivery_id = waiting.recipient.delivery_id
        if delivery_id in self._begun:
            self._begun.discard(delivery_id)
            self._write_journal(
                lambda: self.sender.journal.withdraw(self.claim.attempt_id, self.claim.number, delivery_id)
            )
        self._queue.appendleft(waiting)

    def _write_journal(self, line: Callable[[], None]) -> None:
        """The result stands in memory all the same: a full disk stops what comes, not what is known."""
        try:
            line()
        except OSError as error:
            self._halt(f"the journal cannot be written: {error}")

    def _watch_streaks(self, outcome: Outcome, judgement: verdicts.Judgement) -> None:
        """Refusals and lost answers in a row say something about us or the server, not about the letters."""
        self._refusals = self._refusals + 1 if judgement.is_policy else 0
        self._lost = self._lost + 1 if isinstance(outcome, Ambiguous) else 0
        stop = Reason.REFUSED if self._refusals >= REFUSALS_IN_A_ROW else judgement.stop
        if stop and judgement.entry:
            reply = judgement.entry.reply
            self._halt_without_database(lambda: self.sender.stop(self.claim.attempt_id, stop, reply))
            self._halt(f"attempt {self.claim.attempt_id} stops: {reply}")
        if isinstance(outcome, Ambiguous):
            if self._lost >= LOST_IN_A_ROW:
                text = outcome.reason
                self._halt_without_database(lambda: self.sender.open_breaker(TroubleSort.AMBIGUOUS, text))
                self._halt(text)
        else:
            self._halt_without_database(self.sender.note_success)

    def _halt(self, why: str) -> None:
        log.warning("Batch %d of attempt %d halts: %s", self.claim.number, self.claim.attempt_id, why)
        self.halted = True

    def _halt_without_database(self, act: Callable[[], None]) -> None:
        try:
            act()
        except DBAPIError as error:
            self._halt(f"the database is away: {error.orig}")

    def _pulse(self) -> bool:
        """Every half second: results into the ledger, lease renewed, permission asked again."""
        due = clock.steady() - self._committed_at >= COMMIT_EVERY or len(self._pending) >= COMMIT_MOST
        if due and not self._fenced:
            self._halt_without_database(self._commit)
        if self._must_stop():
            self.halted = True
        return not (self.halted or self._fenced)

    def _patience(self) -> float | None:
        """Seconds that answers on their way are still waited for; None: as long as their deadline."""
        return PATIENCE_AT_STOP if self._hurry() else None

    def _commit(self, *, release: bool = False) -> None:
        at, now, entries = clock.steady(), clock.now(), self._pending
        with write() as connection:
            if not ledger.record(connection, self.claim, entries, now=now):
                self._lose()
                return
            if release:
                ledger.release(connection, self.claim)
            else:
                allowed = permission.ask(connection, self.claim.attempt_id, now)
                number = self.claim.number
                self._left_out = batches.left_out(connection, self.claim.attempt_id, number, now)
        self._pending = []
        self._done += len(entries)
        self._lease_until, self._committed_at = at + self.claim.lease.total_seconds(), at
        if not release and allowed.verdict is not Verdict.GO:
            self._halt(f"{allowed.verdict.value}, {allowed.reason or 'closed'}")

    def _lose(self) -> None:
        """Somebody evicted us: whoever did judges by our journal, and what we hold is his to say."""
        self._fenced = True
        log.error("Batch %d of attempt %d was taken from us", self.claim.number, self.claim.attempt_id)

    def _finish(self) -> None:
        """Everything known goes into the ledger, the batch is given back, the journal begins anew."""
        for wait in (*DATABASE_WAITS, None):
            try:
                if not self._fenced:
                    self._commit(release=True)
                break
            except DBAPIError:
                if wait is None:
                    raise  # the journal stays behind and speaks for us
                time.sleep(wait)
        if self._fenced:
            self.sender.leave_journal()
        else:
            self.sender.journal.forget()
