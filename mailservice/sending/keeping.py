"""The keeper of a run: the batches in its hands, what is claimed and committed, and the word that letters may go."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from mailservice import clock
from mailservice.models import Reason
from mailservice.models.batch import SIZE
from mailservice.sending import books
from mailservice.sending.books import Committed, Part
from mailservice.sending.claims import Waiting
from mailservice.sending.hold import Held, Hold
from mailservice.sending.journal import Journal
from mailservice.sending.pacing import LONGEST, Parking
from mailservice.sending.permission import Verdict

if TYPE_CHECKING:
    from mailservice.sending.sender import Claiming, Sender

log = logging.getLogger(__name__)
COMMIT_EVERY = 0.4  # seconds; permission is asked as often
PERMISSION_LASTS = 1.0  # seconds
COMMIT_MOST = 2_000  # results
LOW_WATER = 300  # letters at hand below which the next batch is claimed, at least
RESERVE = 0.2  # seconds that the letters at hand should last: longer than a commit takes
MOST_AT_HAND = 5_000  # letters
MOST_AT_ONCE = 8  # batches
LOOK_EVERY = 0.05  # seconds, while there is nothing to do but wait
DATABASE_WAITS = (0.1, 0.5, 1, 2, 4, 8)  # seconds between the last tries to commit


class Keeper:
    """`halted` says why the sender must not go on with this attempt now; empty while all is well."""

    def __init__(self, sender: Sender, attempt_id: int):
        self.sender = sender
        self.attempt_id = attempt_id
        self.halted = ""
        self.queue: deque[Held] = deque()  # letters that may be tried now
        self.parked: Parking[Held] = Parking()  # letters that the mail server's pace holds back
        self.left_out: dict[int, Reason] = {}  # deliveries that by now must not be sent to
        self.done = 0  # results in the ledger
        self._holds: dict[int, Hold] = {}  # by the batch's number
        self._lost_holds: list[Hold] = []
        self._claiming: Claiming | None = None
        self._committing: Future[Committed] | None = None
        self._parts: list[tuple[Hold, Part]] = []  # of the commit under way
        self.permitted_until = float("-inf")  # how far the last word that letters may go reaches, on the steady clock
        self.has_news = False  # a claim or a commit has come back
        self.low_water = LOW_WATER  # letters at hand below which more are asked for
        self._is_short = False  # letters ran out while more were being asked for
        self._dry = False  # no batch was free when last asked
        self._due_again = float("inf")  # when a batch that was given back is due, on the steady clock
        self._committed_at = clock.steady()

    @property
    def is_exhausted(self) -> bool:
        return self._dry and not self.queue and not self.parked.count

    @property
    def has_lost(self) -> bool:
        """Whether a batch was taken from us."""
        return bool(self._lost_holds)

    def take(self, most: int) -> list[Held]:
        """The next letters that may go at the mail server's pace; none when there is none now."""
        pace = self.sender.pace
        if pace.is_free and not self.parked.count:
            if not self.queue and self._claiming and not self._is_short:
                self._is_short, self.low_water = True, min(2 * self.low_water, MOST_AT_HAND)
            return [self.queue.popleft() for _ in range(min(most, len(self.queue)))]
        taken = self._take_at_pace()
        return [taken] if taken else []

    def _take_at_pace(self) -> Held | None:
        pace = self.sender.pace
        pace.turn()
        if (seconds := pace.wait()) > LONGEST:
            for hold in self._holds.values():
                hold.rest(seconds)
            self.halted = self.halted or "the mail server's limit is reached"
            return None
        if taken := self.parked.take(pace):
            return taken
        for (hold, _), seconds in self.parked.give_up(pace):
            hold.put_off(seconds)
        while self.queue:
            taken = hold, waiting = self.queue.popleft()
            group = pace.group(waiting.email)
            if self.parked.is_next(group) and pace.may(group):
                return taken
            if seconds := self.parked.park(pace, group, taken):
                hold.put_off(seconds)
        return None

    def take_back(self, hold: Hold, waiting: Waiting, *, last: bool) -> None:
        """A letter that was surely not sent is tried again, next or `last`; of a lost batch others try it."""
        if not hold.is_lost:
            (self.queue.append if last else self.queue.appendleft)((hold, waiting))
        hold.take_back(waiting.delivery_id)

    def halt(self, why: str) -> None:
        if not self.halted:
            log.warning("Attempt %d halts: %s", self.attempt_id, why)
            self.halted = why

    def try_database(self, act: Callable[[], None]) -> None:
        try:
            act()
        except DBAPIError as error:
            self.halt(f"the database is away: {error.orig}")

    def claim_more(self) -> None:
        """Sees to it that the next batch is on its way before this one is through."""
        if self._dry and clock.steady() >= self._due_again:
            self._dry, self._due_again = False, float("inf")
        if self._claiming is None:
            at_hand = len(self.queue) + (self.parked.held_by_server(self.sender.pace) if self.parked.count else 0)
            if at_hand < self.low_water and not self._dry and not self.halted:
                self.sender.pace.turn()  # what it asks is answered before the letters are here
                try:
                    self._is_short = False
                    count = min(-(-(self.low_water + self.low_water // 2 - at_hand) // SIZE), MOST_AT_ONCE)
                    self._claiming = self.sender.claim(self.attempt_id, count)
                    self._claiming.future.add_done_callback(self._bring_news)
                except OSError as error:
                    self.halt(f"the journal cannot be written: {error}")
        elif self._claiming.future.done():
            self._take_claim()

    def _take_claim(self) -> None:
        if self._committing and self._committing.done():  # what it gave back may be among the claims
            self.try_database(self._take_commit)
        claiming, self._claiming = self._claiming, None
        assert claiming is not None
        try:
            claims = claiming.future.result()
        except DBAPIError as error:
            for journal in claiming.journals:
                journal.close(keep=True)  # who knows whether the claims were made
            self.halt(f"the database is away: {error.orig}")
            return
        for journal in claiming.journals[len(claims) :]:
            self.sender.put_away(journal)
        self._dry = len(claims) < len(claiming.journals)
        if claims:
            self._permit(claiming.at)
            self.sender.pace.turn()
        for claim, journal in zip(claims, claiming.journals, strict=False):
            if before := self._holds.get(claim.number):  # it was given back, and the database's word of that was lost
                self._lose(before)
            hold = Hold(claim, journal, leased_at=claiming.at)
            self._holds[claim.number] = hold
            self.queue.extend((hold, waiting) for waiting in claim.waiting)

    def await_letters(self, pulse: Callable[[], bool]) -> None:
        """Waits for letters, and for the word that they may go; the pulse goes on meanwhile."""
        self.claim_more()
        while not self.halted and self._is_waiting():
            under_way: list[Future[Any]] = [self._committing] if self._committing else []
            under_way += [self._claiming.future] if self._claiming else []
            wait(under_way, timeout=LOOK_EVERY) if under_way else time.sleep(LOOK_EVERY)
            pulse()
            if self.parked.count and self.is_permitted():
                return  # there may be permits by now

    def _is_waiting(self) -> bool:
        if self.queue:
            return not self.is_permitted()
        return self._claiming is not None or self.parked.count > 0

    def is_permitted(self) -> bool:
        """Whether the last word that letters may go is fresh; a slow database makes us wait, not go on."""
        return clock.steady() < self.permitted_until

    def _permit(self, at: float) -> None:
        """Letters may go by what was known at that moment, and of those batches that were looked at earlier, then."""
        known = min((hold.looked_at for hold in self._holds.values() if hold.left), default=at)
        self.permitted_until = max(self.permitted_until, min(at, known) + PERMISSION_LASTS)

    def _bring_news(self, _: Future[Any]) -> None:
        self.has_news = True

    def open_journals(self) -> list[Journal]:
        holds = [*self._holds.values(), *self._lost_holds]
        return [hold.journal for hold in holds] + (self._claiming.journals if self._claiming else [])

    def look(self) -> None:
        """Takes what has come back of claims and commits, and asks for more letters in time."""
        self.has_news = False
        self.claim_more()
        if self._committing and self._committing.done():
            self.try_database(self._take_commit)

    def turn(self) -> None:
        """What is known goes into the ledger from time to time, and whether we may go on is asked."""
        self.look()
        self.sender.pace.turn()
        if self._committing is None:
            pending = sum(hold.pending for hold in self._holds.values())
            if self._holds and (pending >= COMMIT_MOST or clock.steady() - self._committed_at >= COMMIT_EVERY):
                self._commit(last=False)

    def _commit(self, *, last: bool) -> None:
        self._parts = [(hold, hold.part(last=last)) for hold in self._holds.values()]
        parts = [part for _, part in self._parts]
        self._committing = self.sender.books.submit(books.commit, self.attempt_id, parts)
        self._committing.add_done_callback(self._bring_news)
        elapsed, self._committed_at = clock.steady() - self._committed_at, clock.steady()
        rate = sum(part.results for part in parts) / max(elapsed, COMMIT_EVERY)
        self.low_water = int(min(max(LOW_WATER, rate * RESERVE), MOST_AT_HAND))

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
        self.left_out.update(found.left_out)
        for hold, part in self._parts:
            number = part.claim.number
            if hold.is_lost:
                continue
            if number in found.fenced:
                log.error("Batch %d of attempt %d was taken from us", number, self.attempt_id)
                self._lose(hold)
                continue
            self.done += hold.committed()
            hold.renewed(found.at)
            if part.must_look:
                hold.looked_at = found.at
            if part.put_off_until:
                due_in = (part.put_off_until - clock.now()).total_seconds()
                self._due_again = min(self._due_again, clock.steady() + due_in)
            if part.is_through or part.give_back:
                self.sender.put_away(hold.journal)
                del self._holds[number]
        if found.permission.verdict is Verdict.GO:
            self._permit(found.at)
        else:
            self.halt(f"{found.permission.verdict.value}, {found.permission.reason or 'closed'}")

    def _lose(self, hold: Hold) -> None:
        """What we know of a batch is left to whoever judges it; no letter of it waits for anything any more."""
        del self._holds[hold.claim.number]
        hold.lose()
        self._lost_holds.append(hold)
        self.queue = deque(pair for pair in self.queue if pair[0] is not hold)
        self.parked.drop(lambda pair: pair[0] is hold)

    def finish(self) -> None:
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
