"""The sender: takes batches of an attempt, hands their letters to the mail server, and accounts for each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from flask_babel import force_locale
from sqlalchemy import select

from mailservice import clock
from mailservice.database import read, write
from mailservice.models import Attempt, Reason, User
from mailservice.sending import batches, breaker, ledger, permission
from mailservice.sending.batches import LEASE, Claim
from mailservice.sending.breaker import Gate, TroubleSort
from mailservice.sending.fields import FieldError
from mailservice.sending.journal import Journal
from mailservice.sending.letters import BadLetter, Identity, LetterPress
from mailservice.sending.permission import Verdict
from mailservice.sending.run import BatchRun
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


class Sender:
    """One process's hand at the mail server. Its connections and its journal live as long as it does."""

    def __init__(self, house: House):
        self.house = house
        self.journal = Journal(house.journal_path)
        self.loop = Loop(house.server, connections=house.connections)
        self.breaker_is_clean = True
        self.breaker_is_open = False

    def close(self) -> None:
        self.loop.close()
        self.journal.close()

    def abandon(self) -> None:
        """The database is out of reach: the journal stays behind, with results that only it knows."""
        self.loop.close()
        self.journal.close(keep=True)

    def leave_journal(self) -> None:
        """A batch was taken from us: what we know of it is left to whoever judges it, and we begin anew."""
        self.journal.close(keep=True)
        self.journal = Journal(self.house.journal_path)

    def drain(
        self,
        attempt_id: int,
        *,
        must_stop: Callable[[], bool] = lambda: False,
        hurry: Callable[[], bool] = lambda: False,
    ) -> int:
        """Sends batches until none has work, it must stop, or the server is away.

        Returns how many letters got a result. `must_stop` is asked every half second; answers on their way
        are then waited for as long as the server has time, in a `hurry` for some seconds only.
        """
        done = 0
        letters: LetterPress | None = None
        while not must_stop() and self._server_is_up():
            leased_at = clock.steady()
            claim = self._claim(attempt_id)
            if claim is None:
                break
            if letters is None and (letters := self._compile(claim)) is None:
                break
            run = BatchRun(self, claim, letters, leased_at=leased_at, must_stop=must_stop, hurry=hurry)
            done += run.run()
            if run.halted:
                break
        return done

    def _claim(self, attempt_id: int) -> Claim | None:
        """The next batch, if its letters may start now. A stop that is noticed here is written down."""
        now = clock.now()
        with write() as connection:
            allowed = permission.ask(connection, attempt_id, now)
            if allowed.verdict is Verdict.STOP and allowed.reason:
                ledger.stop(connection, attempt_id, allowed.reason)
            if allowed.verdict is not Verdict.GO:
                return None
            return batches.claim(
                connection, attempt_id, holder=self.journal.holder, now=now, lease=self.house.lease
            )

    def _compile(self, claim: Claim) -> LetterPress | None:
        with read() as connection:
            query = select(*Attempt.__table__.c, User.language).join(User, User.id == Attempt.owner_id)
            attempt = connection.execute(query.where(Attempt.id == claim.attempt_id)).one()
        identity = Identity(
            attempt.id,
            attempt.mailing_id,
            attempt.owner_id,
            attempt.key,
            attempt.sender,
            self.house.public_url,
            self.house.unsubscribe_key,
        )
        try:
            with force_locale(attempt.language):
                return LetterPress(attempt.subject, attempt.body, identity)
        except (FieldError, BadLetter) as error:
            with write() as connection:
                ledger.stop(connection, attempt.id, Reason.BAD_MESSAGE, reply=str(error))
                ledger.release(connection, claim)
            return None

    def _server_is_up(self) -> bool:
        name, now = self.house.server_name, clock.now()
        with write() as connection:
            gate, self.breaker_is_clean = breaker.pass_through(connection, name, now)
        self.breaker_is_open = gate is Gate.OPEN
        if gate is not Gate.PROBE:
            return gate is Gate.CLOSED
        if found := probe(self.house.server):
            self.note_trouble(found)
            return False
        with write() as connection:
            breaker.probe_passed(connection, name)
        return True

    def stop(self, attempt_id: int, reason: Reason, reply: str | None) -> None:
        with write() as connection:
            ledger.stop(connection, attempt_id, reason, reply=reply)

    def note_trouble(self, trouble: Trouble) -> None:
        sort = TroubleSort.CONFIGURATION if trouble.kind is TroubleKind.CONFIGURATION else TroubleSort.HOST
        self.open_breaker(sort, str(trouble.reply or trouble.reason))

    def open_breaker(self, sort: TroubleSort, text: str) -> None:
        """Counts one trouble of this sort; the breaker itself decides when it is one too many."""
        self.breaker_is_clean = False
        with write() as connection:
            self.breaker_is_open = breaker.trouble(
                connection, self.house.server_name, sort, text, clock.now()
            )

    def note_success(self) -> None:
        if not self.breaker_is_clean:
            with write() as connection:
                breaker.success(connection, self.house.server_name, clock.now())
            self.breaker_is_clean = True
