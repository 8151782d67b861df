"""Imports in the background: rung for when they stand still, and finished whoever is killed."""

import signal
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, read, transaction
from mailservice.jobs import entries, importing
from mailservice.models import Client, Import, ImportRow, ImportStatus
from mailservice.queues import QueueName, queue
from mailservice.services.importing import imports, steps
from tests import factories
from tests import importing as make
from tests.faults.conftest import Processes, processes, wait_until  # noqa: F401

ROWS = 50_000


def waiting():
    return queue(QueueName.SENDING).get_job_ids()


@pytest.fixture
def owner(app):
    return factories.user()


def asked_to_check(owner, text):
    found = make.take_in(owner, text, largest=100 * make.MEGABYTE)
    with transaction():
        found = db.session.get_one(Import, found.id)
        imports.check(found, roles=found.columns, has_header=found.has_header, existing=imports.Existing.KEEP)
    return found.id


def test_the_tick_rings_for_what_stands_still_and_not_twice_at_once(owner):
    import_id = asked_to_check(owner, "a@example.org\n")
    entries.tick()
    assert waiting() == [], "whoever asked for it has rung, too"
    with transaction() as session:
        session.get(Import, import_id).touched_at = clock.now() - steps.STILL - timedelta(seconds=1)
    entries.tick()
    entries.tick()
    assert len(waiting()) == 1


def test_a_turn_that_is_over_rings_for_the_next(owner, monkeypatch):
    monkeypatch.setattr(importing, "TURN", -1.0)
    monkeypatch.setattr(steps, "SIZE", 1)
    import_id = asked_to_check(owner, "a@example.org\nb@example.org\n")
    entries.import_clients(import_id)
    assert len(waiting()) == 1
    assert db.session.get(Import, import_id).number == 1


def test_a_job_for_what_is_gone_or_through_does_nothing(owner):
    found = make.run(owner, "a@example.org\n")
    entries.import_clients(found.id)
    entries.import_clients(10**9)
    assert waiting() == []


def look(import_id, column):
    with read() as connection:
        return connection.scalar(select(column).where(Import.id == import_id))


def test_killed_in_each_phase_an_import_loses_and_doubles_nothing(owner, processes):  # noqa: F811
    """kill -9 of a real process between slices and within them, in the dry run, the import and the undoing."""
    text = "".join(f"client{n}@example.org;Client {n}\n" for n in range(ROWS))
    import_id = asked_to_check(owner, text)
    worked_off(processes, import_id, Import.number, ImportStatus.CHECKED)
    with read() as connection:
        numbers = func.count(), func.count(ImportRow.number.distinct()), func.max(ImportRow.number)
        assert tuple(connection.execute(select(*numbers)).one()) == (ROWS, ROWS, ROWS)
    assert look(import_id, Import.new) == ROWS
    with transaction():
        imports.start(db.session.get(Import, import_id))
    worked_off(processes, import_id, Import.applied, ImportStatus.DONE)
    assert count_clients() == ROWS
    with transaction():
        imports.undo(db.session.get(Import, import_id))
    worked_off(processes, import_id, Import.undone, ImportStatus.UNDONE)
    assert count_clients() == 0
    assert look(import_id, Import.removed) == ROWS


def worked_off(processes, import_id, progress, status):  # noqa: F811
    victim = processes.start("send-mailings")
    wait_until(lambda: look(import_id, progress) > 0, what="the first slice")
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert look(import_id, Import.status) is not status, "the process was too quick to be killed"
    assert processes.start("send-mailings").wait() == 0
    assert look(import_id, Import.status) is status


def count_clients():
    with read() as connection:
        return connection.scalar(select(func.count(Client.id)))


def test_one_broken_file_does_not_hold_up_the_others(owner, monkeypatch):
    broken = asked_to_check(owner, "email\na@example.org\n")
    sound = asked_to_check(owner, "email\nb@example.org\n")
    ready = importing._ready

    def breaking(plan):
        if plan.import_id == broken:
            raise RuntimeError("nobody thought of this")
        return ready(plan)

    monkeypatch.setattr(importing, "_ready", breaking)
    importing.work_off(lambda: False)
    assert look(sound, Import.status) is ImportStatus.CHECKED
    assert look(broken, Import.status) is ImportStatus.CHECKING
