"""What people do while the storm rages: they make mailings, stop them, are blocked, and leave."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, timedelta

from sqlalchemy import exists, func, insert, select
from sqlalchemy.exc import DBAPIError

from mailservice import clock
from mailservice.database import db, read, transaction, write
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Batch,
    Client,
    Delivery,
    Mailing,
    MailingStatus,
    Message,
    Periodicity,
    User,
)
from mailservice.queues import Job, enqueue
from mailservice.sending.batches import is_final
from mailservice.services import audiences, clients, mailings, unsubscribing, users
from mailservice.services.audiences import Audience
from mailservice.services.schedule import Schedule
from tests import factories
from tests.chaos.stops import Stops
from tests.chaos.world import World, chance_of, retrying

OWNERS = 4
CLIENTS = 500  # of each owner
ODD = {"gone": 4, "spam": 2, "grey": 10}  # of them, such as the mail server treats in its own way
TOWNS = 5  # domains that their addresses are in
BACKLOG = 1500  # letters that wait, above which nobody makes another mailing
PAUSE = (0.05, 0.4)  # seconds between two acts
HASTEN_EVERY = 0.5  # seconds
REST = timedelta(seconds=3)  # before what was stopped goes on: long enough to see that nothing begins
WAITING = 50  # letters at the end of the batches


class Life(threading.Thread):
    """All that people do, one act after the other, each in a transaction of its own, as a page would."""

    def __init__(self, world: World, seed: int):
        super().__init__(daemon=True)
        self.stops = Stops()
        self.mistake: BaseException | None = None
        self._world = world
        self._chance = chance_of(seed, "life")
        self._over = threading.Event()
        self._numbers = itertools.count(1)
        self._acts: dict[Callable[[], str | None], int] = {
            self._create: 30,
            self._pause: 14,
            self._resume: 25,
            self._cancel: 2,
            self._disable: 1,
            self._block: 1,
            self._unblock: 6,
            self._unsubscribe: 16,
            self._delete_client: 6,
        }

    def prepare(self) -> None:
        """Users, each with a message and clients, and the first mailings."""
        with self._world.app.app_context():
            for n in range(OWNERS):
                owner = factories.user(email=f"owner{n}@example.org")
                factories.message(
                    owner, subject="News for {{ first_name }}", body="Good day!\n\n" + "All is well. " * 40
                )
                self._add_clients(owner.id, n)
            for _ in range(2):
                self._create(may_end=False)
            db.session.remove()

    def _add_clients(self, owner_id: int, n: int) -> None:
        names = [name for name, count in ODD.items() for _ in range(count)]
        names += ["client"] * (CLIENTS - len(names))
        self._chance.shuffle(names)
        now = clock.now()
        emails = [f"{name}-{n}-{number}@town{number % TOWNS}.example.org" for number, name in enumerate(names)]
        always = {
            "owner_id": owner_id,
            "full_name": "Boris Ivanov",
            "comment": "",
            "created_at": now,
            "updated_at": now,
        }
        with write() as connection:
            connection.execute(insert(Client), [{"email": e, "email_normalised": e} | always for e in emails])

    # The thread

    def run(self) -> None:
        hastened_at = time.monotonic()
        with self._world.app.app_context():
            while not self._over.wait(self._chance.uniform(*PAUSE)):
                self._do(self._chance.choices(list(self._acts), list(self._acts.values()))[0])
                if time.monotonic() - hastened_at > HASTEN_EVERY:
                    self._do(self._world.hasten)
                    hastened_at = time.monotonic()
            db.session.remove()

    def end(self) -> None:
        """No more acts, and what can be taken back is."""
        self._over.set()
        self.join()
        if self.mistake:
            raise self.mistake
        with self._world.app.app_context():
            retrying(self._take_all_back, seconds=60)
            db.session.remove()

    def _do(self, act: Callable[[], str | None]) -> None:
        name = act.__name__.strip("_")
        try:
            done = act()
            if done:
                self._world.timeline.note(f"    {done}")
        except DBAPIError as error:
            self._world.timeline.note(f"    {name}: who knows ({str(error.orig).strip()[:60]})")
        except (Refused, NotFound, Invalid):
            pass  # somebody was quicker
        except BaseException as error:  # a mistake of the test's must not pass in silence
            self.mistake = error
            self._over.set()
        finally:
            db.session.rollback()

    def _take_all_back(self) -> None:
        self.stops.taken_back("paused")
        self.stops.taken_back("blocked")
        with transaction() as session:
            for mailing in session.scalars(select(Mailing).where(Mailing.paused_at.is_not(None)).with_for_update()):
                mailings.resume(mailing)
            for user in session.scalars(select(User).where(User.blocked_at.is_not(None)).with_for_update()):
                users.unblock(user)

    # What they do; each returns what it did, or nothing

    def _create(self, *, may_end: bool = True) -> str:
        with read() as connection:
            waiting = connection.scalar(select(func.coalesce(func.sum(Batch.waiting), 0))) or 0
            unprepared = select(func.count()).where(Attempt.status == AttemptStatus.PLANNED)
            waiting += CLIENTS * (connection.scalar(unprepared) or 0)
        if waiting > BACKLOG:
            return ""
        now = clock.now().astimezone(UTC).replace(tzinfo=None)
        ends = may_end and self._chance.random() < 0.15
        end = now + timedelta(seconds=self._chance.uniform(2, 8)) if ends else None
        once = self._chance.random() < 0.7
        plan = Schedule(now - timedelta(minutes=1), "UTC", Periodicity.ONCE if once else Periodicity.DAILY, end)
        with transaction() as session:
            owner = self._any(select(User).where(User.blocked_at.is_(None)).order_by(User.id))
            message_id = session.scalars(select(Message.id).where(Message.owner_id == owner.id)).one()
            audience = self._audience(owner)
            title = f"Mailing {next(self._numbers)}"
            mailing_id = mailings.create(owner, title=title, message_id=message_id, plan=plan, audience=audience).id
        if plan.end_at:
            self.stops.took_effect("ended", mailing_id, since=plan.end_at.timestamp())
        enqueue(Job.TICK)
        return f"mailing {mailing_id} is made" + (f", it ends at {end:%H:%M:%S.%f}" if end else "")

    def _audience(self, owner: User) -> Audience:
        if self._chance.random() < 0.3:
            return audiences.everyone()
        ids = list(db.session.scalars(select(Client.id).where(Client.owner_id == owner.id).order_by(Client.id)))
        return Audience(client_ids=frozenset(self._chance.sample(ids, self._chance.randint(20, len(ids)))))

    def _pause(self) -> str:
        with transaction():
            mailing = self._open_mailing()
            mailing_id = mailing.id
            mailings.pause(mailing)
        self.stops.took_effect("paused", mailing_id)
        return f"mailing {mailing_id} is paused"

    def _resume(self) -> str:
        is_due = Mailing.paused_at < clock.now() - REST
        mailing_id = self._any(select(Mailing.id).where(is_due).order_by(Mailing.id))
        self.stops.taken_back("paused", mailing_id)
        with transaction() as session:
            mailings.resume(session.get_one(Mailing, mailing_id, with_for_update=True))
        enqueue(Job.TICK)
        return f"mailing {mailing_id} is resumed"

    def _cancel(self) -> str:
        with transaction():
            mailing = self._open_mailing()
            attempt = mailings.open_attempt(mailing)
            mailings.cancel(mailing)
            attempt_id = attempt.id if attempt else None
        self.stops.took_effect("cancelled", attempt_id)
        return f"attempt {attempt_id} is cancelled"

    def _disable(self) -> str:
        with transaction():
            mailing = self._open_mailing()
            mailing_id = mailing.id
            mailing.disabled_at, mailing.disabled_reason = clock.now(), "spam"
        self.stops.took_effect("disabled", mailing_id)
        return f"mailing {mailing_id} is disabled"

    def _block(self) -> str:
        with transaction():
            owner = self._any(select(User).where(User.blocked_at.is_(None)).order_by(User.id))
            owner_id = owner.id
            users.block(owner, reason="spam")
        self.stops.took_effect("blocked", owner_id)
        return f"user {owner_id} is blocked"

    def _unblock(self) -> str:
        owner_id = self._any(select(User.id).where(User.blocked_at < clock.now() - REST).order_by(User.id))
        self.stops.taken_back("blocked", owner_id)
        with transaction() as session:
            users.unblock(session.get_one(User, owner_id, with_for_update=True))
        return f"user {owner_id} is let in again"

    def _unsubscribe(self) -> str:
        with transaction():
            client = self._waiting_client()
            address = client.owner_id, client.email_normalised
            unsubscribing.unsubscribe(address[0], email_normalised=address[1])
        self.stops.took_effect("unsubscribed", address)
        return f"{address[1]} unsubscribes"

    def _delete_client(self) -> str:
        with transaction():
            client = self._waiting_client()
            client_id = client.id
            clients.delete(client)
        self.stops.took_effect("deleted", client_id)
        return f"client {client_id} is deleted"

    def _open_mailing(self) -> Mailing:
        """One that is being sent, locked as a page would."""
        is_open = Attempt.status.in_(Attempt.OPEN)
        query = select(Attempt.mailing_id).join(Mailing, Mailing.id == Attempt.mailing_id)
        query = query.where(is_open, Mailing.disabled_at.is_(None), Mailing.status != MailingStatus.FINISHED)
        mailing_id = self._any(query.order_by(Attempt.id))
        return db.session.get_one(Mailing, mailing_id, with_for_update=True)

    def _waiting_client(self) -> Client:
        """One whose letter waits in a sender's hands, near the end of its batch."""
        query = (
            select(Client)
            .join(Delivery, Delivery.client_id == Client.id)
            .join(Batch, (Batch.attempt_id == Delivery.attempt_id) & (Batch.number == Delivery.batch))
            .where(Batch.holder.is_not(None), ~exists().where(is_final()))
        )
        return self._any(query.order_by(Delivery.id.desc()).limit(WAITING))

    def _any(self, query):
        """One of the rows, by the dice; NotFound where there is none."""
        found = db.session.scalars(query).all()
        if not found:
            raise NotFound("nothing of the kind")
        return self._chance.choice(found)
