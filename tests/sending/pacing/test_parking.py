"""Letters without a permit wait in the hand for a while, first come, first gone; what would wait longer is not kept."""

from __future__ import annotations

from mailservice.mail_servers import Limits
from mailservice.sending.pacing import LONGEST, Parking
from tests.sending.pacing.world import World


def parked(world, letters):
    """What is kept and, with the seconds it has to wait, what is not."""
    (pace,) = world.senders
    parking = Parking(world.steady)
    seconds = {letter: parking.park(pace, letter.partition("-")[0], letter) for letter in letters}
    return parking, {letter: wait for letter, wait in seconds.items() if wait}


def numbered(group, count):
    return [f"{group}-{n}" for n in range(count)]


def test_who_came_first_goes_first_whatever_the_group():
    world = World(Limits(per_second=10))
    letters = [letter for pair in zip(numbered("gmail", 8), numbered("rest", 8), strict=True) for letter in pair]
    parking, put_off = parked(world, letters)
    gone = []
    for _ in range(1000):
        world.step()
        while letter := parking.take(world.senders[0]):
            gone.append(letter)
    assert gone == letters
    assert put_off == {}
    assert parking.count == 0


def test_letters_of_a_slow_group_are_kept_for_some_seconds_and_then_have_their_own_times():
    world = World(Limits(groups={"gmail": 2}))
    parking, put_off = parked(world, numbered("gmail", 100))
    assert 2 * LONGEST <= parking.count <= 2 * LONGEST + 1
    assert all(LONGEST < wait <= 50 for wait in put_off.values())
    assert list(put_off.values()) == sorted(put_off.values())


def test_a_servers_own_limit_puts_nothing_off_and_is_told_apart():
    world = World(Limits(per_second=2, groups={"gmail": 1}))
    parking, put_off = parked(world, numbered("yandex", 100))
    assert parking.count == parking.held_by_server(world.senders[0]) == 100
    assert put_off == {}
    parking, _ = parked(world, numbered("gmail", 5))
    assert parking.held_by_server(world.senders[0]) == 0


def test_what_waits_in_the_hand_is_given_up_when_its_group_is_held():
    world = World(Limits(groups={"gmail": 2}))
    (pace,) = world.senders
    parking, _ = parked(world, numbered("gmail", 10))
    assert parking.give_up(pace) == []
    world.run(2, group="gmail", server=lambda: "421 4.7.0 try again in 60 seconds", demand=lambda _: 1)
    given_up = parking.give_up(pace)
    assert [letter for letter, _ in given_up] == numbered("gmail", 10)
    assert all(50 < wait < 75 for _, wait in given_up)
    assert parking.count == 0
