"""The sender: takes batches of an attempt, hands their letters to the mail server, and accounts for each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from flask_babel import force_locale
from sqlalchemy import select

from mailservice import clock
from mailservice.database import read, write
from mailservice.models import Attempt, Reason, User
from mailservice.sending import books, breaker, ledger
from mailservice.sending.batches import LEASE, Claim
from mailservice.sending.books import Books, Context
from mailservice.sending.breaker import Gate, TroubleSort
from mailservice.sending.fields import FieldError
from mailservice.sending.journal import Journal, sender_name
from mailservice.sending.letters import BadLetter, Identity, LetterPress, envelope_address
from mailservice.sending.run import Run
from mailservice.smtp import Loop, Server, Trouble, TroubleKind, probe

log = logging.getLogger(__name__)


class House(NamedTuple):
    """What a sender needs to know of its installation."""

    server: Server
    journal_path: Path
    public_url: str
    unsubscribe_key: bytes
    connections: int = 1
    lease: timedelta = LEASE

    @property
    def server_name(self) -> str:
        return f"{self.server.host}:{self.server.port}"


class Claiming(NamedTuple):
    """A batch that is being asked for: the journal that will be its own, and when on the steady clock."""

    journal: Journal
    at: float
    future: Future[Claim | None]


class Sender:
    """One process's hand at the mail server. Its connections live as long as it does."""

    def __init__(self, house: House, context: Context):
        self.house = house
        self.name = sender_name()
        self.loop = Loop(house.server, connections=house.connections)
        self.books = Books(context)
        self.breaker_is_clean = True
        self.breaker_is_open = False

    def close(self) -> None:
        self.loop.close()
        self.books.close()

    def drain(
        self,
        attempt_id: int,
        *,
        must_stop: Callable[[], bool] = lambda: False,
        hurry: Callable[[], bool] = lambda: False,
    ) -> int:
        """Sends batches until none has work, it must stop, or the server is away.

        Returns how many letters got a result. `must_stop` is asked every quarter of a second; answers on
        their way are then waited for as long as the server has time, in a `hurry` for some seconds only.
        """
        if must_stop() or not self._server_is_up():
            return 0
        letters = self._compile(attempt_id)
        return Run(self, attempt_id, letters, must_stop=must_stop, hurry=hurry).run() if letters else 0

    def claim(self, attempt_id: int) -> Claiming:
        """Asks for the next batch. Raises OSError where no journal can be written."""
        journal = Journal(self.house.journal_path, self.name)
        at = clock.steady()
        return Claiming(journal, at, self.books.submit(books.take, attempt_id, journal.holder, self.house.lease))

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
                return LetterPress(attempt.subject, attempt.body, identity)
        except (FieldError, BadLetter) as error:
            self.stop(attempt.id, Reason.BAD_MESSAGE, str(error))
            return None

    def _server_is_up(self) -> bool:
        name, now = self.house.server_name, clock.now()
        with write() as connection:
            gate, self.breaker_is_clean = breaker.pass_through(connection, name, now)
        self.breaker_is_open = gate is Gate.OPEN
        if gate is not Gate.PROBE:
            return gate is Gate.CLOSED
        if found := probe(self.house.server):
            self.note_trouble(found, probing=True)
            return False
        with write() as connection:
            breaker.probe_passed(connection, name)
        return True

    def stop(self, attempt_id: int, reason: Reason, reply: str | None) -> None:
        with write() as connection:
            ledger.stop(connection, attempt_id, reason, reply=reply)

    def note_trouble(self, trouble: Trouble, *, probing: bool = False) -> None:
        sort = TroubleSort.CONFIGURATION if trouble.kind is TroubleKind.CONFIGURATION else TroubleSort.HOST
        self.open_breaker(sort, str(trouble.reply or trouble.reason), probing=probing)

    def open_breaker(self, sort: TroubleSort, text: str, *, probing: bool = False) -> None:
        """Counts one trouble of this sort; the breaker itself decides when it is one too many."""
        self.breaker_is_clean = False
        with write() as connection:
            self.breaker_is_open = breaker.trouble(
                connection, self.house.server_name, sort, text, clock.now(), probing=probing
            )

    def note_success(self) -> None:
        if not self.breaker_is_clean:
            with write() as connection:
                breaker.success(connection, self.house.server_name, clock.now())
            self.breaker_is_clean = True
