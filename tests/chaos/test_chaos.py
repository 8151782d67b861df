"""Processes, database, Redis and mail server die, hang and are cut while mailings go out: nothing is lost or doubled.

A storm follows from its seed: CHAOS_SEED=… repeats its plan. CHAOS_MINUTES=… lets more of them follow each other.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, read
from mailservice.models import Attempt, Mailing
from tests.chaos import checker
from tests.chaos.checker import Account, Report
from tests.chaos.life import HASTEN_EVERY, Life
from tests.chaos.nemesis import Nemesis
from tests.chaos.world import World, retrying
from tests.servers import wait_until

SECONDS = {"postgresql": 25.0, "sqlite": 9.0}  # of one storm
CALM_WITHIN = 60.0  # seconds after the storm in which the service must have come to rest by itself
MINUTES = float(os.environ.get("CHAOS_MINUTES", "0"))
ROUNDS = max(1, round(MINUTES * 60 / (sum(SECONDS.values()) + 30)))


@pytest.fixture(scope="module")
def first_seed() -> int:
    return int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(10**6))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("database", SECONDS)
def test_a_storm_loses_nothing_and_doubles_nothing(database: str, number: int, first_seed: int, tmp_path: Path) -> None:
    seed = first_seed + number
    world = World(tmp_path, postgresql=database == "postgresql")
    try:
        report = storm(world, seed, seconds=SECONDS[database])
        print(f"{database}, seed {seed}: {report}")
        assert report.problems == []
        assert report.states["sent"] > 0
    except BaseException:
        print(f"CHAOS_SEED={seed} on {database}; the logs are in {tmp_path}. What happened:\n{world.timeline}")
        raise
    finally:
        world.close()


def storm(world: World, seed: int, *, seconds: float) -> Report:
    life, nemesis = Life(world, seed), Nemesis(world, seed)
    life.prepare()
    world.mail.delay = 0.003
    world.start_all()
    wait_until(lambda: world.mail.accepted, seconds=60, what="the first letter")
    life.start()
    nemesis.rage(seconds)
    nemesis.heal()
    life.end()
    come_to_rest(world)
    with world.app.app_context():
        report = checker.check(
            Account(
                accepted=[letter.message_id for letter in world.mail.accepted],
                begun=world.eavesdropper.begun,
                stops=life.stops.all,
                sleeps=nemesis.sleeps,
                kills=nemesis.kills,
                at_risk=nemesis.at_risk,
            )
        )
        db.session.remove()
    return report


def come_to_rest(world: World) -> None:
    """Nobody helps but the supervisor, and time that flies: the processes bring everything to its end themselves."""
    began, hastened_at = time.monotonic(), 0.0
    with world.app.app_context():

        def is_calm() -> bool:
            nonlocal hastened_at
            world.tend(set())
            if time.monotonic() - hastened_at > HASTEN_EVERY:
                hastened_at = time.monotonic()
                world.hasten()
            with read() as connection:
                due = connection.scalar(
                    select(func.count()).where(Mailing.next_at <= clock.now(), Mailing.disabled_at.is_(None))
                )
                unfinished = connection.scalar(select(func.count()).where(Attempt.status.in_(Attempt.OPEN)))
            return not due and not unfinished

        retrying(lambda: wait_until(is_calm, seconds=CALM_WITHIN, what="the end of all attempts"), seconds=30)
    world.timeline.note(f"calm after {time.monotonic() - began:.1f} s")
