"""rq-scheduler, mended: nothing periodic is lost, doubled or blocked, and Redis may come and go."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from redis import Redis

from config import ROOT
from mailservice.jobs.scheduler import Periodic, PeriodicScheduler
from mailservice.queues import Job, QueueName, enqueue_in, queue
from tests.servers import valkey_at, wait_until

TICK = Periodic(Job.TICK, every=3)


@pytest.fixture
def scheduler(app, redis):
    return PeriodicScheduler([TICK], redis)


def die(*_):
    raise SystemExit


def waiting(redis):
    return queue(QueueName.TICKS, redis).get_job_ids()


def test_the_table_is_registered_once_and_rings_at_once(scheduler, redis):
    scheduler.register()
    scheduler.register()
    assert scheduler.enqueue_jobs() == [TICK.id]
    assert waiting(redis) == [TICK.id]


def test_a_job_that_nobody_has_taken_does_not_queue_up_behind_itself(scheduler, redis):
    scheduler.register()
    for _ in range(3):
        redis.zadd(scheduler.scheduled_jobs_key, {TICK.id: time.time() - 1})
        scheduler.enqueue_jobs()
    assert waiting(redis) == [TICK.id]


def test_its_next_time_is_written_before_it_is_rung_for(scheduler, redis, monkeypatch):
    scheduler.register()
    monkeypatch.setattr(scheduler, "get_queue_for_job", die)
    with pytest.raises(SystemExit):  # killed between the two
        scheduler.enqueue_jobs()
    assert redis.zscore(scheduler.scheduled_jobs_key, TICK.id) > time.time() + 1


def test_a_flushed_table_comes_back(scheduler, redis):
    scheduler.register()
    redis.flushall()
    scheduler.register()
    assert scheduler.enqueue_jobs() == [TICK.id]


def test_a_clock_that_was_set_back_stops_nothing(scheduler, redis):
    scheduler.register()
    redis.zadd(scheduler.scheduled_jobs_key, {TICK.id: time.time() + 3 * 86_400})  # rung when it was days ahead
    scheduler.register()
    assert redis.zscore(scheduler.scheduled_jobs_key, TICK.id) <= time.time() + TICK.every


def test_a_broken_job_does_not_stand_in_the_way_of_others(scheduler, redis):
    redis.hset("rq:job:broken", mapping={"created_at": "never", "data": b"nonsense"})
    redis.zadd(scheduler.scheduled_jobs_key, {"broken": 0, "vanished": 1})
    scheduler.register()
    assert scheduler.enqueue_jobs() == [TICK.id]
    assert redis.zscore(scheduler.scheduled_jobs_key, "vanished") is None


def test_what_is_put_off_is_rung_for_once(app, scheduler, redis):
    assert enqueue_in(timedelta(seconds=-1), Job.ACCOUNT_LETTER, "confirm", 1)
    assert len(scheduler.enqueue_jobs()) == 1
    assert scheduler.enqueue_jobs() == []
    accounts = queue(QueueName.ACCOUNTS, redis)
    assert accounts.count == 1
    assert accounts.jobs[0].args == ["confirm", 1]


def test_of_two_schedulers_one_is_at_work_until_it_lets_go(app, redis):
    one, two = PeriodicScheduler([TICK], redis), PeriodicScheduler([TICK], redis)
    assert one.hold_lock()
    assert one.hold_lock()
    assert not two.hold_lock()
    two.let_go()  # which is not its to give away
    assert not two.hold_lock()
    one.let_go()
    assert two.hold_lock()


def test_it_waits_for_redis_and_outlives_its_absence(tmp_path):
    socket = tmp_path / "redis.sock"
    environ = os.environ | {
        "INSTANCE_PATH": str(tmp_path / "instance"),
        "REDIS_URL": f"unix://{socket}",
        "TICK_SECONDS": "1",
        "LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "scheduler"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ)
    try:
        for _ in range(2):
            with valkey_at(socket), Redis(unix_socket_path=str(socket)) as redis:
                wait_until(lambda: waiting_raw(redis), seconds=30, what="a tick")
                assert process.poll() is None
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()


def waiting_raw(redis):
    return redis.lrange("rq:queue:ticks", 0, -1)
