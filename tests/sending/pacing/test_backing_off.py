"""A server that puts letters of a group off is asked for less, and for more again when it takes them."""

from __future__ import annotations

import itertools
import random

import pytest

from mailservice.mail_servers import Limits
from mailservice.sending.pacing.permits import FORGET, RISE_EVERY, SLOWEST
from tests.sending.pacing.world import World, answer

SLOWER = "450 4.7.1 too many letters from you"


class Provider:
    """Takes so many letters per second, and puts off all others."""

    def __init__(self, world: World, rate: float):
        self._world, self._rate = world, rate
        self._free_at = 0.0
        self.taken = self.put_off = 0

    def __call__(self) -> str:
        self._free_at = max(self._free_at, self._world.time - 1)
        if self._free_at > self._world.time:
            self.put_off += 1
            return SLOWER
        self._free_at += 1 / self._rate
        self.taken += 1
        return "250 2.0.0 ok"


def per_step(count: int):
    return lambda _: count


@pytest.mark.parametrize("code", [421, 450, 451, 452])
def test_a_group_that_is_put_off_waits_and_no_other(code):
    world = World(Limits())
    (pace,) = world.senders
    world.run(0.1, group="gmail")
    assert len(world.all_sent()) == 20 * 1000
    world.run(10, group="gmail", server=lambda: f"{code} 4.7.0 slow down")
    world.clear()
    world.run(60, group="gmail", server=lambda: f"{code} 4.7.0 slow down")
    assert len(world.all_sent()) <= 60
    assert not pace.may("gmail")
    assert pace.wait("gmail") > 0.5
    assert all(pace.may("yandex") for _ in range(1000))


def test_it_never_stops_trying():
    world = World(Limits())
    world.run(120, server=lambda: SLOWER)
    world.clear()
    world.run(180, server=lambda: SLOWER)
    assert 180 * SLOWEST * 0.8 <= len(world.all_sent()) <= 180 * SLOWEST + 2


@pytest.mark.parametrize(("rate", "senders"), [(3, 2), (40, 1), (400, 2)])
def test_it_finds_the_rate_that_the_server_takes(rate, senders):
    world = World(Limits(), senders=senders)
    provider = Provider(world, rate)
    world.run(40, demand=per_step(20), server=provider)
    provider.taken = provider.put_off = 0
    world.run(60, demand=per_step(20), server=provider)
    assert provider.taken >= 0.5 * 60 * rate
    assert provider.put_off <= 0.25 * provider.taken


def test_it_is_free_again_when_the_server_takes_everything():
    world = World(Limits())
    (pace,) = world.senders
    world.run(3, demand=per_step(10), server=lambda: SLOWER)
    assert not pace.is_free
    world.run(180, demand=per_step(10))
    assert pace.is_free
    world.clear()
    world.run(1, demand=per_step(10))
    assert len(world.all_sent()) == 200 * 10


def test_a_group_with_a_limit_backs_off_below_it_and_rises_to_it_and_no_higher():
    world = World(Limits(groups={"gmail": 64}))
    world.run(2.5, group="gmail", server=lambda: SLOWER)
    world.clear()
    world.run(4, group="gmail")
    assert len(world.all_sent()) <= 4.5 * 32 + 2
    world.run(16 * RISE_EVERY, group="gmail")
    world.clear()
    world.run(4, group="gmail")
    assert 3.9 * 64 <= len(world.all_sent()) <= 4.5 * 64 + 2


def test_another_sender_hears_of_it():
    world = World(Limits(), senders=2)
    first, second = world.senders
    world.run(4, demand=lambda number: 10 if number == 0 else 0, server=lambda: SLOWER)
    assert not first.is_free
    assert not second.is_free
    assert sum(second.may("rest") for _ in range(1000)) <= 10


@pytest.mark.parametrize("reply", ["450 4.2.1 comes too often", "452 4.2.2 mailbox full", "451 4.1.8 no such sender"])
def test_what_is_said_of_one_mailbox_slows_nobody_down(reply):
    world = World(Limits())
    world.run(5, demand=per_step(10), server=lambda: reply)
    assert world.senders[0].is_free
    assert len(world.all_sent()) == 5 * 200 * 10


def test_some_letters_put_off_among_many_accepted_slow_nobody_down():
    world = World(Limits())
    chance = random.Random(3)
    world.run(10, demand=per_step(10), server=lambda: SLOWER if chance.random() < 0.02 else "250 ok")
    assert len(world.all_sent()) == 10 * 200 * 10


# A delay that the server names


@pytest.mark.parametrize(("group", "code"), [("gmail", 421), ("gmail", 450), ("rest", 421)])
def test_a_delay_that_the_server_names_is_honoured(group, code):
    world = World(Limits())
    (pace,) = world.senders
    world.run(2, demand=per_step(1), group=group, server=lambda: f"{code} 4.7.0 try again in 90 seconds")
    assert 85 <= pace.wait(group) <= 90
    world.clear()
    world.run(85, demand=per_step(1), group=group)
    assert world.all_sent() == []
    world.run(10, demand=per_step(1), group=group)
    assert world.all_sent()


def test_a_delay_that_one_domain_of_the_rest_names_does_not_hold_up_all_others():
    world = World(Limits())
    replies = itertools.chain(["450 4.7.1 greylisted, try again in 300 seconds"], itertools.repeat("250 ok"))
    world.run(3, demand=per_step(1), server=lambda: next(replies))
    world.clear()
    world.run(1, demand=per_step(1))
    assert len(world.all_sent()) > 5


def test_a_delay_is_an_hour_at_most():
    world = World(Limits())
    world.run(2, demand=per_step(1), group="gmail", server=lambda: "421 4.7.0 try again in 24 hours")
    assert 3500 <= world.senders[0].wait("gmail") <= 3600


def test_what_was_learned_is_forgotten_in_time():
    world = World(Limits())
    world.run(2, server=lambda: SLOWER)
    assert not world.senders[0].is_free
    world.senders[0].rest()
    world.run(1, demand=per_step(0))
    world.time += FORGET
    world.run(2, demand=per_step(0))
    assert world.senders[0].is_free


def test_only_what_was_put_off_or_is_watched_is_counted():
    world = World(Limits())
    (pace,) = world.senders
    for _ in range(1000):
        pace.note("gmail", answer("250 2.0.0 ok"))
    assert pace.is_free
    pace.note("gmail", answer(SLOWER))
    assert not pace.is_free
