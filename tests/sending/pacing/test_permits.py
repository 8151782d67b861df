"""However many senders share a limit and however late the store answers, the limit holds, and is used."""

from __future__ import annotations

import random
from bisect import bisect_left

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservice.mail_servers import Limits
from mailservice.sending.pacing.permits import BLOCK, HOUR, take_of_hour
from tests.sending.pacing.world import World, excess


@settings(max_examples=40, deadline=None)
@given(
    rate=st.sampled_from([0.3, 1.0, 3.7, 20.0, 150.0, 1000.0]),
    senders=st.integers(1, 4),
    slowest=st.sampled_from([0.0, 0.03, 0.3]),
    eagerness=st.floats(0.02, 1.0),
    seed=st.integers(0, 2**32),
)
def test_no_stretch_of_time_sees_more_than_the_limit_and_one_block(rate, senders, slowest, eagerness, seed):
    chance = random.Random(seed)
    world = World(Limits(per_second=rate), senders=senders, delay=lambda: chance.uniform(0, slowest))
    most = max(int(rate / 20), 1)
    world.run(6, demand=lambda _: chance.randrange(1, most + 1) if chance.random() < eagerness else 0)
    assert world.all_sent()
    assert excess(world.all_sent(), rate) <= rate * BLOCK + 2


@pytest.mark.parametrize("senders", [1, 2, 5])
@pytest.mark.parametrize("rate", [2.0, 50.0, 1000.0])
def test_senders_in_a_hurry_use_all_of_the_limit(rate, senders):
    chance = random.Random(senders)
    world = World(Limits(per_second=rate), senders=senders, delay=lambda: chance.uniform(0, 0.08))
    world.run(20)
    assert len(world.all_sent()) >= 0.95 * 20 * rate


def test_senders_in_a_hurry_get_about_the_same():
    chance = random.Random(7)
    world = World(Limits(per_second=100), senders=3, delay=lambda: chance.uniform(0, 0.02))
    world.run(20)
    assert min(map(len, world.sent)) >= 0.6 * 20 * 100 / 3


def test_the_store_is_asked_some_times_a_second_however_many_letters_there_are():
    world = World(Limits(per_second=1000))
    world.run(10)
    assert world.asked <= 10 * 11


@pytest.mark.parametrize("seconds", [-4000, -3, 3, 4000])
def test_a_store_whose_clock_is_set_does_not_hold_up_the_senders(seconds):
    world = World(Limits(per_second=100))
    world.run(5)
    world.store.ahead += seconds
    world.run(5)
    assert len(world.all_sent()) >= 0.9 * 10 * 100
    assert excess(world.all_sent(), 100) <= 2 * (100 * BLOCK + 2)


def test_a_groups_own_limit_binds_its_letters_only():
    world = World(Limits(groups={"gmail": 10}))
    (pace,) = world.senders
    world.run(5, group="gmail")
    assert 45 <= len(world.all_sent()) <= 10 * (5 + BLOCK) + 2
    assert all(pace.may("yandex") for _ in range(10_000))
    assert not pace.is_free


def test_a_letter_needs_a_permit_of_each_limit_that_binds_it():
    world = World(Limits(per_second=20, groups={"gmail": 100}))
    world.run(5, group="gmail")
    assert 95 <= len(world.all_sent()) <= 20 * (5 + BLOCK) + 2


def test_who_has_no_permits_is_told_when_there_will_be_some():
    world = World(Limits(per_second=0.5))
    (pace,) = world.senders
    world.run(0.1)
    assert len(world.all_sent()) == 1
    assert 1.5 <= pace.wait() <= 2
    world.run(pace.wait() + 0.1)
    assert len(world.all_sent()) == 2


# The hour


@settings(max_examples=30, deadline=None)
@given(
    limit=st.sampled_from([1, 7, 100, 1000]),
    senders=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_no_hour_sees_more_than_its_limit(limit, senders, seed):
    chance = random.Random(seed)
    world = World(Limits(per_hour=limit), senders=senders)
    for _ in range(40):
        world.run(0.2, demand=lambda _: chance.choice([0, 1, limit]))
        world.time += chance.choice([0, 20, 60, 300, 1200])
    sent = world.all_sent()
    assert sent
    for number, at in enumerate(sent):
        assert bisect_left(sent, at + HOUR) - number <= limit


def test_an_hours_limit_may_be_used_up_at_once():
    world = World(Limits(per_hour=1000), senders=2)
    world.run(5)
    assert len(world.all_sent()) == 1000
    assert world.senders[0].wait() > 3000


def test_what_is_left_of_an_hours_permits_is_given_back():
    world = World(Limits(per_hour=1000), senders=2)
    first, second = world.senders
    world.run(0.1, demand=lambda number: 3 if number == 0 and world.time < 0.03 else 0)
    first.rest()
    world.run(10, demand=lambda number: 1000 * number)
    assert len(world.all_sent()) == 1000
    assert second.wait() > 3000


def test_an_hours_permits_that_were_good_for_too_long_are_given_back():
    world = World(Limits(per_hour=100))
    world.run(0.1, demand=lambda _: 1 if world.time < 0.03 else 0)
    world.time += 40
    world.run(10)
    assert len(world.all_sent()) == 100


def test_an_hour_is_counted_on_when_the_clock_is_set_back():
    state: dict[str, int] = {}
    now = 1_800_000_000.0
    for moment in (now, now - 7200, now + 10):
        for _ in range(30):
            take_of_hour(state, moment, limit=100, unused={}, wanted=True)
    assert sum(state.values()) == 100
