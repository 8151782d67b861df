"""The sender: takes batches of an attempt, hands their letters to the mail server, and accounts for each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from flask_babel import force_locale
from redis import Redis
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from mailservice import clock
from mailservice.database import read, write
from mailservice.models import Attempt, Reason, User
from mailservice.sending import books, breaker, ledger
from mailservice.sending.books import Books, Context
from mailservice.sending.breaker import Gate, TroubleSort
from mailservice.sending.burdens import Burdens
from mailservice.sending.claims import LEASE, Claim
from mailservice.sending.fields import FieldError
from mailservice.sending.journal import Journal, sender_name
from mailservice.sending.letters import BadLetter, Identity, LetterPress, envelope_address
from mailservice.sending.links import Link, Route, next_of
from mailservice.sending.pacing import LONGEST, Pace
from mailservice.sending.run import Run
from mailservice.smtp import Loop, Trouble, TroubleKind, probe

log = logging.getLogger(__name__)
SPARE = 16  # journals kept for the next batches
TURN = 3.0  # seconds, after which another mail server has its turn


class House(NamedTuple):
    """What a sender needs to know of its installation."""

    routes: tuple[Route, ...]
    journal_path: Path
    public_url: str
    unsubscribe_key: bytes
    lease: timedelta = LEASE
    redis: Redis | None = None  # with a short deadline


class Claiming(NamedTuple):
    """Batches that are being asked for: the journals that will be their own, and when on the steady clock."""

    journals: list[Journal]
    at: float
    future: Future[list[Claim]]


class Sender:
    """One process's hand at the mail servers. Its connections live as long as it does.

    It turns to one server at a time: `loop`, `pace` and the breaker are that server's.
    """

    def __init__(self, house: House, context: Context):
        self.house = house
        self.name = sender_name()
        self.books = Books(context)
        self.breaker_is_clean = True
        self.breaker_is_open = False
        self._context = context
        self._links = [Link(route, house.redis, self.books) for route in house.routes]
        self._spare: list[Journal] = []
        self._link = self._links[0]
        self._well = self._links[:1]

    @property
    def loop(self) -> Loop:
        return self._link.loop

    @property
    def pace(self) -> Pace:
        return self._link.pace

    @property
    def burdens(self) -> Burdens:
        return self._link.burdens

    def part(self) -> None:
        """Takes leave of the mail servers: others need their places. The next letters open connections anew."""
        for link in self._links:
            link.loop.part()

    def close(self) -> None:
        for link in self._links:
            link.loop.close()
        while self._spare:
            self._spare.pop().close()
        self.books.close()

    def drain(
        self,
        attempt_id: int,
        *,
        must_stop: Callable[[], bool] = lambda: False,
        hurry: Callable[[], bool] = lambda: False,
    ) -> int:
        """Sends batches until none has work, it must stop, or no server is well.

        Returns how many letters got a result. `must_stop` is asked every quarter of a second; answers on
        their way are then waited for as long as the server has time, in a `hurry` for some seconds only.
        """
        letters, done, is_over = None, 0, False
        while not is_over and not must_stop() and self._turn_to_a_server():
            letters = letters or self._compile(attempt_id)
            if letters is None:
                break
            turn_ends = clock.steady() + TURN if len(self._links) > 1 else float("inf")

            def must_turn(turn_ends: float = turn_ends) -> bool:
                return must_stop() or clock.steady() >= turn_ends

            count = Run(self, attempt_id, letters, must_stop=must_turn, hurry=hurry).run()
            done += count
            self._link.carried(count)
            self.pace.rest()
            is_over = not self.breaker_is_open and self.pace.wait() <= LONGEST and clock.steady() < turn_ends
        return done

    def claim(self, attempt_id: int, count: int) -> Claiming:
        """Asks for the next batches. Raises OSError where no journal can be written."""
        journals: list[Journal] = []
        try:
            for _ in range(count):
                journals.append(self._journal())
        except OSError:
            if not journals:
                raise
        at = clock.steady()
        holders = [journal.holder for journal in journals]
        return Claiming(journals, at, self.books.submit(books.take, attempt_id, holders, self.house.lease))

    def _journal(self) -> Journal:
        if not self._spare:
            return Journal(self.house.journal_path, self.name)
        journal = self._spare.pop()
        try:
            journal.renew()
        except OSError:
            journal.close(keep=True)
            raise
        return journal

    def put_away(self, journal: Journal) -> None:
        """A journal whose batch is given back: it may serve another."""
        if len(self._spare) < SPARE:
            self._spare.append(journal)
        else:
            journal.close()

    def _compile(self, attempt_id: int) -> LetterPress | None:
        """The attempt's letters; None where there are none to send, or none can be built."""
        with read() as connection:
            query = (
                select(*Attempt.__table__.c, User.language, User.email, User.full_name)
                .join(User, User.id == Attempt.owner_id)
                .where(Attempt.id == attempt_id)
            )
            attempt = connection.execute(query).one_or_none()
        if attempt is None or attempt.body is None:
            return None
        try:
            identity = Identity(
                attempt.id,
                attempt.mailing_id,
                attempt.owner_id,
                attempt.key,
                attempt.sender,
                self.house.public_url,
                self.house.unsubscribe_key,
                reply_to=(attempt.full_name, envelope_address(attempt.email)),
            )
            with force_locale(attempt.language):
                return LetterPress(
                    attempt.subject, attempt.body, identity, kind=attempt.kind, preheader=attempt.preheader
                )
        except (FieldError, BadLetter) as error:
            self.stop(attempt.id, Reason.BAD_MESSAGE, str(error))
            return None

    def _turn_to_a_server(self) -> bool:
        """Chooses the next of the mail servers that are well; False when none is."""
        now = clock.now()
        with write() as connection:
            found = {link: breaker.pass_through(connection, link.route.name, now) for link in self._links}
        well = [link for link, (gate, _) in found.items() if gate is Gate.CLOSED]
        for link in (link for link, (gate, _) in found.items() if gate is Gate.PROBE):
            if well:  # letters need not wait for a look at a server that may be down
                threading.Thread(target=self._probe_aside, args=(link,), daemon=True).start()
            elif self._probe(link):
                well.append(link)
        self.breaker_is_open = not well
        for link in well:
            link.is_clean = found[link][1]
        self._well = [link for link in well if link.pace.wait() <= LONGEST]  # the others have reached their limits
        if self._well:
            self._turn_to(next_of(self._links, self._well))
        return bool(self._well)

    def rotate(self) -> None:
        """Turns to another server that is well: it may take letters where this one has reached its limit."""
        if len(self._well) > 1:
            self._link.is_clean = self.breaker_is_clean
            self._turn_to(self._well[(self._well.index(self._link) + 1) % len(self._well)])

    def _turn_to(self, link: Link) -> None:
        self._link, self.breaker_is_clean = link, link.is_clean

    def _probe_aside(self, link: Link) -> None:
        with self._context():
            try:
                self._probe(link)
            except DBAPIError as error:  # it is probed again in a minute
                log.warning("What the mail server %s said is lost: %s", link.route.name, error.orig)

    def _probe(self, link: Link) -> bool:
        found = probe(link.route.server)
        if found:
            self._count_trouble(link, *_sorted(found), probing=True)
        else:
            with write() as connection:
                breaker.probe_passed(connection, link.route.name)
        return found is None

    def stop(self, attempt_id: int, reason: Reason, reply: str | None) -> None:
        with write() as connection:
            ledger.stop(connection, attempt_id, reason, reply=reply)

    def note_trouble(self, trouble: Trouble) -> None:
        self.open_breaker(*_sorted(trouble))

    def open_breaker(self, sort: TroubleSort, text: str) -> None:
        """Counts one trouble of this sort; the breaker itself decides when it is one too many."""
        self.breaker_is_clean = False
        self.breaker_is_open = self._count_trouble(self._link, sort, text)

    def _count_trouble(self, link: Link, sort: TroubleSort, text: str, *, probing: bool = False) -> bool:
        with write() as connection:
            return breaker.trouble(connection, link.route.name, sort, text, clock.now(), probing=probing)

    def note_success(self) -> None:
        if not self.breaker_is_clean:
            with write() as connection:
                breaker.success(connection, self._link.route.name, clock.now())
            self.breaker_is_clean = True


def _sorted(trouble: Trouble) -> tuple[TroubleSort, str]:
    sort = TroubleSort.CONFIGURATION if trouble.kind is TroubleKind.CONFIGURATION else TroubleSort.HOST
    return sort, str(trouble.reply or trouble.reason)
