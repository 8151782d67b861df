"""What a dead or lost sender leaves behind: nothing lost, nothing doubled, and what is not sure is said so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from mailservice import clock
from mailservice.database import db, read, write
from mailservice.jobs import drains, ticks
from mailservice.jobs.house import house
from mailservice.models import Batch, Reason, State, Suppression
from mailservice.sending import claims, ledger, recovery
from mailservice.sending.claims import LEASE, Claim
from mailservice.sending.entries import Entry
from mailservice.sending.journal import Journal
from mailservice.sending.recovery import LOST, UNPROVEN
from mailservice.sending.sender import Sender
from tests import factories, invariants
from tests.engine import attempt_of, due_mailing, results_of, run_senders, states_of

COUNT = 6
EMAILS = [f"client-{n}@example.org" for n in range(COUNT)]
PAST_LEASE = LEASE + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def invariants_hold(app, mail_server):
    yield
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


@pytest.fixture
def folder(settings):
    return settings.journal_path


@pytest.fixture
def mailing(app):
    made = due_mailing(factories.user(), EMAILS)
    ticks.tick()
    return made


def claim_of(mailing, holder: str) -> Claim:
    attempt_id = attempt_of(mailing).id
    db.session.rollback()
    with write() as connection:
        (claimed,) = claims.claim(connection, attempt_id, holders=[holder], now=clock.now())
    assert claimed is not None
    return claimed


def entry_of(claimed: Claim, position: int, state: State = State.FAILED, **more: object) -> Entry:
    """A final result. Failed rather than sent, so that the server's ledger need not know the letter."""
    waiting = claimed.waiting[position]
    values = {"code": 550, "enhanced": "5.2.2", "reply": "550 5.2.2 mailbox full"} | more
    return Entry(claimed.attempt_id, claimed.number, waiting.delivery_id, waiting.round, state, clock.now(), **values)


def begin(journal: Journal, claimed: Claim, position: int) -> None:
    journal.begin(claimed.attempt_id, claimed.number, claimed.waiting[position].delivery_id)


def recover(folder, *, later: timedelta = timedelta()) -> int:
    db.session.rollback()
    return recovery.recover(folder, clock.now() + later)


def record(claimed: Claim, *entries: Entry) -> bool:
    with write() as connection:
        ours = ledger.renew(connection, claimed, entries, now=clock.now())
        if ours:
            ledger.append(connection, claimed.attempt_id, entries, now=clock.now())
        return ours


def batch_of(mailing) -> Batch:
    db.session.rollback()
    return db.session.scalars(select(Batch).where(Batch.attempt_id == attempt_of(mailing).id)).one()


def states(mailing) -> list[str]:
    found = states_of(mailing)
    return [found[email] for email in EMAILS]


def dead_sender(folder, mailing) -> tuple[Journal, Claim]:
    """It had an answer for the first letter, one on the wire, one withdrawn, one never begun; then it died."""
    journal = Journal(folder)
    claimed = claim_of(mailing, journal.holder)
    begin(journal, claimed, 0)
    journal.end(entry_of(claimed, 0))
    begin(journal, claimed, 1)
    begin(journal, claimed, 2)
    journal.withdraw(claimed.attempt_id, claimed.number, claimed.waiting[2].delivery_id)
    journal.close(keep=True)  # as death does it: the lock is free and the file is there
    return journal, claimed


def test_a_dead_senders_results_are_kept_its_begun_letters_unknown_and_the_rest_is_free(folder, mailing):
    journal, _ = dead_sender(folder, mailing)
    assert recover(folder) == 1
    assert states(mailing) == ["failed", "unknown", "waiting", "waiting", "waiting", "waiting"]
    results = results_of(mailing)
    assert (results[EMAILS[0]][0].code, results[EMAILS[0]][0].reply) == (550, "550 5.2.2 mailbox full")
    assert results[EMAILS[1]][0].reply == LOST
    batch = batch_of(mailing)
    assert (batch.holder, batch.lease_until, batch.waiting, batch.failed, batch.unknown) == (None, None, 4, 1, 1)
    assert not journal.path.exists()


def test_the_next_sender_sends_what_was_free_and_nothing_else(folder, mailing, mail_server):
    dead_sender(folder, mailing)
    run_senders(times=2)
    assert states(mailing) == ["failed", "unknown", "sent", "sent", "sent", "sent"]
    assert sorted(letter.recipient for letter in mail_server.accepted) == EMAILS[2:]
    assert not attempt_of(mailing).is_open


def test_its_journal_does_not_wait_for_the_lease(folder, mailing):
    dead_sender(folder, mailing)
    assert batch_of(mailing).lease_until > clock.now()
    assert recover(folder) == 1


def test_a_living_sender_is_left_alone(folder, mailing):
    journal = Journal(folder)
    claimed = claim_of(mailing, journal.holder)
    begin(journal, claimed, 0)
    assert recover(folder) == 0
    assert states(mailing) == ["waiting"] * COUNT
    assert record(claimed, entry_of(claimed, 0))
    journal.close()
    with write() as connection:
        ledger.release(connection, claimed)


def test_results_that_it_had_committed_itself_are_not_written_twice(folder, mailing):
    journal = Journal(folder)
    claimed = claim_of(mailing, journal.holder)
    deferral = {"code": 451, "reply": "451 later", "not_before": clock.now() + timedelta(minutes=5)}
    entries = [entry_of(claimed, 0), entry_of(claimed, 1, State.DEFERRED, **deferral), entry_of(claimed, 2)]
    for position, entry in enumerate(entries):
        begin(journal, claimed, position)
        journal.end(entry)
    assert record(claimed, *entries[:2])
    journal.close(keep=True)
    assert recover(folder) == 1
    assert [len(results_of(mailing)[email]) for email in EMAILS] == [1, 1, 1, 0, 0, 0]
    assert states(mailing) == ["failed", "deferred", "failed", "waiting", "waiting", "waiting"]
    assert batch_of(mailing).not_before is None, "three letters wait for nothing"


def test_what_follows_from_a_result_follows_from_one_found_in_a_journal_too(folder, mailing):
    journal = Journal(folder)
    claimed = claim_of(mailing, journal.holder)
    begin(journal, claimed, 0)
    journal.end(entry_of(claimed, 0, enhanced="5.1.1", reply="550 5.1.1 no such user", suppress=EMAILS[0]))
    journal.close(keep=True)
    recover(folder)
    assert db.session.scalars(select(Suppression.email_normalised)).all() == [EMAILS[0]]
    assert attempt_of(mailing).server_reply == "550 5.1.1 no such user"


def test_without_its_journal_everything_that_may_have_been_begun_is_unknown(folder, mailing, mail_server):
    claimed = claim_of(mailing, "another-machine-1")
    assert record(claimed, entry_of(claimed, 0))
    assert recover(folder, later=LEASE - timedelta(seconds=1)) == 0, "its lease holds"
    assert recover(folder, later=PAST_LEASE) == 0, "it is evicted first"
    assert recover(folder, later=PAST_LEASE) == 0, "and judged a lease later"
    assert recover(folder, later=2 * PAST_LEASE) == 1
    assert states(mailing) == ["failed"] + ["unknown"] * 5
    assert results_of(mailing)[EMAILS[1]][0].reply == UNPROVEN
    run_senders()
    assert mail_server.accepted == []
    assert not attempt_of(mailing).is_open


@pytest.mark.parametrize("damage", [b"", b'{"boot": "another start of the machine"}\n'])
def test_a_journal_that_proves_nothing_makes_the_rest_unknown(folder, mailing, damage):
    journal, _ = dead_sender(folder, mailing)
    kept = journal.path.read_bytes().split(b"\n", 1)[1] if damage else b""
    journal.path.write_bytes(damage + kept)
    assert recover(folder) == 1
    assert states(mailing) == (["failed"] if damage else ["unknown"]) + ["unknown"] * 5


def test_a_sender_that_was_evicted_changes_nothing_more(folder, mailing):
    """Its lock is held and its lease is over: stopped, or in a machine that was paused."""
    journal = Journal(folder)
    claimed = claim_of(mailing, journal.holder)
    assert recover(folder, later=PAST_LEASE) == 0
    assert batch_of(mailing).evicted
    assert not record(claimed, entry_of(claimed, 0), entry_of(claimed, 1))
    with write() as connection:
        ledger.release(connection, claimed)
    assert states(mailing) == ["waiting"] * COUNT
    assert (batch_of(mailing).holder, batch_of(mailing).evicted) == (journal.holder, True)
    begin(journal, claimed, 0)
    assert recover(folder, later=2 * PAST_LEASE) == 1
    assert not record(claimed, entry_of(claimed, 0))
    assert states(mailing) == ["unknown"] + ["waiting"] * 5
    assert batch_of(mailing).holder is None
    journal.close()


def test_an_evicted_sender_does_not_disturb_who_took_its_batch(folder, mailing):
    old = Journal(folder)
    first = claim_of(mailing, old.holder)
    recover(folder, later=PAST_LEASE)
    recover(folder, later=2 * PAST_LEASE)
    young = Journal(folder)
    second = claim_of(mailing, young.holder)
    assert second.fence > first.fence
    assert not record(first, entry_of(first, 0))
    assert record(second, entry_of(second, 0)._replace(reply="550 5.2.2 the second's word"))
    with write() as connection:
        ledger.release(connection, first)
    assert batch_of(mailing).holder == young.holder
    old.close(keep=True)
    assert recover(folder) == 0, "its journal speaks of a batch that is no longer its own"
    assert batch_of(mailing).holder == young.holder
    assert results_of(mailing)[EMAILS[0]][0].reply == "550 5.2.2 the second's word"
    with write() as connection:
        ledger.release(connection, second)
    young.close()


def test_a_sender_that_slept_through_its_lease_begins_nothing_more(app, mailing, mail_server, monkeypatch):
    """Its own clock tells it, even before the database does."""
    steady, slept = clock.steady, []
    sender = Sender(house(), app.app_context)
    monkeypatch.setattr("mailservice.clock.steady", lambda: steady() + sum(slept))
    real_begin = Journal.begin

    def sleep_then_begin(journal: Journal, *letter: int) -> None:
        slept.append(house().lease.total_seconds() + 1)
        real_begin(journal, *letter)

    monkeypatch.setattr(Journal, "begin", sleep_then_begin)
    db.session.rollback()
    sender.drain(attempt_of(mailing).id, must_stop=lambda: len(slept) > 0)
    sender.close()
    assert len(slept) >= 1
    assert mail_server.accepted == []
    assert states(mailing) == ["waiting"] * COUNT


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite's lock ends with its process alone
def test_a_sender_that_stops_in_the_middle_of_a_transaction_holds_nobody_up(app, folder, mailing, monkeypatch):
    """Its process is stopped, or its machine is gone without a word: the server knows its locks, and not that."""
    monkeypatch.setattr("mailservice.database.LONGEST_SILENCE", timedelta(milliseconds=300))
    claimed, has_stopped, goes_on = claim_of(mailing, "another-machine-1"), threading.Event(), threading.Event()

    def stop() -> None:
        with app.app_context(), write() as connection:
            ledger.renew(connection, claimed, [], now=clock.now())
            has_stopped.set()
            goes_on.wait()

    def evict() -> None:
        with app.app_context():
            recovery.recover(folder, clock.now() + PAST_LEASE)

    with ThreadPoolExecutor(2) as pool:
        stopped = pool.submit(stop)
        try:
            assert has_stopped.wait(30)
            pool.submit(evict).result(timeout=30)
        finally:
            goes_on.set()
        with pytest.raises(DBAPIError):
            stopped.result()
    assert batch_of(mailing).evicted


def test_many_who_recover_at_once_write_one_result_each(app, folder, mailing):
    dead_sender(folder, mailing)
    start = threading.Barrier(6)

    def bury() -> int:
        with app.app_context():
            start.wait()
            return recovery.recover(folder, clock.now())

    db.session.rollback()
    with ThreadPoolExecutor(6) as pool:
        freed = [done.result() for done in [pool.submit(bury) for _ in range(6)]]
    assert sorted(freed) == [0, 0, 0, 0, 0, 1]
    assert [len(results_of(mailing)[email]) for email in EMAILS] == [1, 1, 0, 0, 0, 0]


def test_many_who_judge_a_lost_sender_at_once_write_one_result_each(app, folder, mailing):
    claim_of(mailing, "another-machine-1")
    recover(folder, later=PAST_LEASE)
    start = threading.Barrier(6)

    def judge() -> int:
        with app.app_context():
            start.wait()
            return recovery.recover(folder, clock.now() + 2 * PAST_LEASE)

    with ThreadPoolExecutor(6) as pool:
        freed = [done.result() for done in [pool.submit(judge) for _ in range(6)]]
    assert sum(freed) == 1
    assert [len(results_of(mailing)[email]) for email in EMAILS] == [1] * COUNT


def test_a_journal_is_there_until_its_words_are_in_the_database(app, folder, mailing, monkeypatch):
    """The database fails in the middle of recovery: nothing is half done, and the next one does it all."""
    journal, _ = dead_sender(folder, mailing)
    with monkeypatch.context() as patch:
        broken = text("SELECT * FROM no_such")
        patch.setattr("mailservice.sending.ledger.free_batch", lambda connection, *_: connection.execute(broken))
        assert recover(folder) == 0
    assert journal.path.exists()
    assert states(mailing) == ["waiting"] * COUNT
    assert recover(folder) == 1
    assert states(mailing)[:2] == ["failed", "unknown"]


def test_many_senders_at_once_share_the_batches_and_none_is_taken_twice(app, mail_server):
    mailing = due_mailing(factories.user(), [f"c{n}@example.org" for n in range(2100)])
    ticks.tick()
    attempt_id = attempt_of(mailing).id
    db.session.rollback()

    def claim(number: int) -> list[int]:
        taken = []
        with app.app_context():
            while True:
                with write() as connection:
                    claimed = claims.claim(connection, attempt_id, holders=[f"sender-{number}"], now=clock.now())
                if not claimed:
                    return taken
                taken += [claim.number for claim in claimed]

    with ThreadPoolExecutor(4) as pool:
        taken = [number for numbers in pool.map(claim, range(4)) for number in numbers]
    assert sorted(taken) == [1, 2, 3, 4, 5]
    with read() as connection:
        holders = connection.execute(select(Batch.holder).where(Batch.attempt_id == attempt_id)).all()
    assert all(holder for (holder,) in holders)


def test_the_rest_of_a_dead_senders_batch_obeys_a_stop(folder, mailing, mail_server):
    dead_sender(folder, mailing)
    with write() as connection:
        connection.execute(text("UPDATE mailings SET disabled_at = :now"), {"now": "2024-01-01 00:00:00+00:00"})
    run_senders()
    assert states(mailing) == ["failed", "unknown", "cancelled", "cancelled", "cancelled", "cancelled"]
    assert attempt_of(mailing).reason is Reason.DISABLED
    assert mail_server.accepted == []


def test_a_worker_whose_drain_fails_leaves_its_journal_to_recovery(app, mailing, mail_server, monkeypatch, folder):
    with monkeypatch.context() as patch:
        patch.setattr("mailservice.sending.keeping.Keeper.finish", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            drains.drain(attempt_of(mailing).id)
    assert len(list(folder.iterdir())) == 1
    run_senders()
    assert set(states(mailing)) == {"sent"}
    assert len(mail_server.accepted) == COUNT
