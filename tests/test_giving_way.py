"""Long works that write again and again leave time to others, where the database has one writer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mailservice import clock, database
from mailservice.database import LONGEST_GAP, giving_way
from mailservice.jobs import ticks
from mailservice.sending import settling
from tests import factories, importing
from tests.engine import due_mailing
from tests.servers import wait_until


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of each rest."""
    found: list[float] = []
    monkeypatch.setattr(database, "time", SimpleNamespace(sleep=found.append))
    return found


@pytest.mark.parametrize("seconds", [0.02, 2 * LONGEST_GAP])
def test_as_much_time_is_left_as_was_taken_but_no_more_than_others_need(app, database, rests, seconds):
    until = clock.steady() + seconds
    with giving_way():
        wait_until(lambda: clock.steady() >= until)
    assert len(rests) == (database == "sqlite")
    assert all(min(seconds, LONGEST_GAP) <= rest <= LONGEST_GAP for rest in rests)


def test_audiences_are_prepared_in_turn_with_others(app, database, mail_server, rests):
    due_mailing(factories.user(), ["a@example.org"])
    ticks.plan_due()
    settling.prepare(sender="news@shop.example", seconds=5)
    assert bool(rests) == (database == "sqlite")


def test_imports_are_read_and_carried_out_in_turn_with_others(app, database, rests):
    owner = factories.user()
    found = importing.check(importing.take_in(owner, "email\na@example.org\n"))
    assert bool(rests) == (database == "sqlite")
    rests.clear()
    importing.start(found)
    assert bool(rests) == (database == "sqlite")
