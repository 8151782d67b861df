"""A batch in a sender's hands: its claim, its journal, and what is known of its letters so far."""

from __future__ import annotations

from datetime import datetime, timedelta

from mailservice import clock
from mailservice.models import Reason, State
from mailservice.sending.books import Part
from mailservice.sending.claims import Claim, Waiting
from mailservice.sending.entries import Entry
from mailservice.sending.journal import Journal

FRESH = 0.2  # seconds in which it is not asked again who must not be sent to
LONGEST_REST = 300.0  # seconds; then somebody looks whether it is still so


class Hold:
    """Everything here belongs to the loop's thread. The lease is measured on the steady clock."""

    def __init__(self, claim: Claim, journal: Journal, *, leased_at: float):
        self.claim = claim
        self.journal = journal
        self.left = len(claim.waiting)  # letters without a result
        self.in_flight = 0
        self.is_lost = False  # taken from us: others judge, by our journal
        self._put_off_until: datetime | None = None  # when the first letter is due that the server's pace put off
        self._rests = False  # all of its letters were put off
        self.looked_at = leased_at  # when it was last asked who must not be sent to
        self.lease_until = leased_at + claim.lease.total_seconds()  # nothing is begun after it
        self._begun: set[int] = set()
        self._pending: list[Entry] = []
        self._accepted: list[str] = []  # rows of letters that were accepted without more ado
        self._under_way: tuple[list[Entry], list[str]] = [], []  # in a commit that has not come back
        self._has_deferred = False

    def renewed(self, at: float) -> None:
        """A commit has come back: it raised the fence, so that it cannot be made twice."""
        self.lease_until = at + self.claim.lease.total_seconds()
        self.claim = self.claim._replace(fence=self.claim.fence + 1)

    def landed(self, count: int = 1) -> None:
        """Fewer letters in flight; a lost batch's journal is left to its heir with the last of them."""
        self.in_flight -= count
        if self.is_lost and self.in_flight == 0:
            self.journal.close(keep=True)

    def lose(self) -> None:
        self.is_lost = True
        if self.in_flight == 0:
            self.journal.close(keep=True)

    def begin(self, delivery_ids: list[int]) -> None:
        """Journals that the letters' contents are about to be handed over. Raises OSError."""
        self.journal.begin(self.claim.attempt_id, self.claim.number, *delivery_ids)
        self._begun.update(delivery_ids)

    def take_back(self, delivery_id: int) -> None:
        """Surely not sent. Raises OSError."""
        if delivery_id in self._begun:
            self._begun.discard(delivery_id)
            self.journal.withdraw(self.claim.attempt_id, self.claim.number, delivery_id)

    def keep(self, entry: Entry) -> None:
        """A result of a letter that was never begun, or of which the journal is told already."""
        self.left -= 1
        self._has_deferred = self._has_deferred or entry.state is State.DEFERRED
        self._begun.discard(entry.delivery_id)
        self._pending.append(entry)

    def accept(self, rows: list[str]) -> None:
        """Results of letters that were accepted. Raises OSError when the journal does not take them."""
        self.left -= len(rows)
        self._accepted += rows
        self.journal.accepted(self.claim.number, rows)

    def put_off(self, seconds: float) -> None:
        """A letter is not tried now, and waits that long with its batch."""
        self.left -= 1
        self._put_off(seconds)

    def rest(self, seconds: float) -> None:
        """None of its letters is tried now."""
        self._rests = True
        self._put_off(seconds)

    def _put_off(self, seconds: float) -> None:
        until = clock.now() + timedelta(seconds=min(seconds, LONGEST_REST))
        self._put_off_until = min(self._put_off_until or until, until)

    def own_entry(
        self, waiting: Waiting, state: State, reason: Reason, *, at: datetime, text: str | None = None
    ) -> Entry:
        """A result that no server gave."""
        delivery_id = waiting.delivery_id
        claim = self.claim
        return Entry(claim.attempt_id, claim.number, delivery_id, waiting.round, state, at, reply=text, reason=reason)

    @property
    def pending(self) -> int:
        return len(self._pending) + len(self._accepted)

    def part(self, *, last: bool) -> Part:
        """What the next commit writes about this batch; `last`: it is given back, through or not."""
        self._under_way = entries, accepted = self._pending, self._accepted
        self._pending, self._accepted = [], []
        is_through = self.left == 0 and not (self.claim.rest or self._has_deferred or self._put_off_until)
        give_back = not is_through and (last or self.left == 0)
        until = self._put_off_until if give_back and (self.left == 0 or self._rests) else None
        must_look = self.left > 0 and not last and clock.steady() - self.looked_at >= FRESH
        return Part(self.claim, entries, is_through, give_back, until, accepted, must_look)

    def not_committed(self) -> None:
        """The commit failed: its entries wait for the next one."""
        entries, accepted = self._under_way
        self._pending, self._accepted = entries + self._pending, accepted + self._accepted
        self._under_way = [], []

    def committed(self) -> int:
        """How many results the commit wrote."""
        entries, accepted = self._under_way
        self._under_way = [], []
        return len(entries) + len(accepted)


Held = tuple[Hold, Waiting]  # a delivery in our hands, with its batch: the key of its letter
