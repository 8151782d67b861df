"""Permits: the arithmetic of what all senders may hand to one mail server together.

It knows neither clock nor store: each function is given what is kept and the present (seconds of the store's
clock), and changes what is kept. A permit is for one letter, and belongs to a moment of the limit's timetable: at
50 letters a second there is one every 20 ms. Those of the next AHEAD seconds are given out in one block, those of
the last BEHIND seconds are not lost yet, and none is good for longer than VALID seconds or, where a limit is lower
than that, until the next. So however many senders there are, no stretch of T seconds sees more letters than
rate · (T + BLOCK) + 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import floor
from typing import Any, NamedTuple

from mailservice.mail_servers import Limits

State = dict[str, Any]  # JSON: what is kept of one server

AHEAD = 0.2  # seconds
BEHIND = 0.1
VALID = 0.2
BLOCK = AHEAD + BEHIND + VALID

SERVER = ""  # the name of the server's own limit among those of its groups
SLOWEST = 1 / 30  # letters per second: backing off ends here
SLOW_START = 5.0  # letters per second that the first backing off leaves at least
SETTLE = 1.0  # seconds in which another bad round is about the same letters
RISE_EVERY = 5.0  # seconds
RISE = 1.5
LONGEST_HOLD = 3600.0  # seconds
FORGET = 3600.0  # seconds after which nobody knows whether it is still so

HOUR = 3600
SLOT = 300  # seconds: letters of an hour are counted in slots
HOUR_VALID = 30.0  # seconds for which permits of an hour's limit are good, before they are given back
PORTION = 20  # of an hour's limit a sender takes this part at once


class Grant(NamedTuple):
    """So many permits, good for so many seconds; when it is worth asking again, in seconds from now."""

    size: int
    valid: float
    again: float
    rate: float = float("inf")  # letters per second, in the long run
    slot: int = 0  # where an hour's limit has counted them


class Bad(NamedTuple):
    """A round in which the server put off letters of a group: letters per second that it took, and that were tried."""

    accepted: float
    tried: float
    delay: float = 0.0  # seconds that it asked for


class Slow(NamedTuple):
    """A group that backs off: seconds until its next letter may go, and letters per second from then on."""

    held: float
    rate: float | None


@dataclass
class Throttle:
    """What is kept of one limit; moments are seconds of the store's clock."""

    free_at: float = 0.0  # permits are given out up to here
    rate: float | None = None  # letters per second, while it backs off
    enough: float = 0.0  # the rate at which backing off is over
    changed_at: float = 0.0
    held_until: float = 0.0

    def take(self, rate: float, now: float) -> Grant:
        start = max(self.free_at, now - BEHIND)
        start = min(start, now + AHEAD + 1 / rate)  # beyond it lies only what was kept before the clock was set back
        count = max(floor((now + AHEAD - start) * rate) + 1, 0)
        self.free_at = start + count / rate
        return Grant(count, max(VALID, 1 / rate), max(self.free_at - AHEAD - now, 0.0), rate)

    def back_off(self, bad: Bad, limit: float, now: float) -> None:
        """`limit` is zero where the group has none."""
        if bad.delay:
            self.held_until = max(self.held_until, now + min(bad.delay, LONGEST_HOLD))
        if self.rate is not None and 0 <= now - self.changed_at < SETTLE:
            return
        if self.rate is None:
            self.enough = limit or max(bad.tried, 2 * SLOW_START)
            self.rate = min(max(bad.accepted, 2 * SLOW_START), self.enough)
        self.rate = max(self.rate / 2, SLOWEST)
        self.changed_at = now

    def rise(self, now: float) -> None:
        if self.rate is None or 0 <= now - self.changed_at < RISE_EVERY:
            return
        self.rate = self.rate * RISE if self.rate * RISE < self.enough else None
        self.changed_at = now

    def slow(self, now: float) -> Slow | None:
        if self.rate is not None and not 0 <= now - self.changed_at < FORGET:
            self.rate = None
        held = self.held_until - now
        held = held if 0 < held <= LONGEST_HOLD else 0.0
        return Slow(held, self.rate) if held or self.rate is not None else None


class Wish(NamedTuple):
    """What a sender wants: permits of these limits; and what it has seen, by group: a bad round, or a good one."""

    names: frozenset[str] = frozenset()
    seen: Mapping[str, Bad | None] = {}


class Answer(NamedTuple):
    grants: dict[str, Grant]
    slow: dict[str, Slow]  # groups that back off


def settle(state: State, now: float, *, limits: Limits, wish: Wish) -> Answer:
    """Takes in what was seen and gives out what is wanted; changes `state`."""
    throttles = {name: Throttle(**kept) for name, kept in state.items()}
    for name in wish.names | wish.seen.keys():
        throttles.setdefault(name, Throttle())
    for group, bad in wish.seen.items():
        if bad:
            throttles[group].back_off(bad, limits.groups.get(group, 0), now)
        else:
            throttles[group].rise(now)
    slow = {name: found for name, throttle in throttles.items() if (found := throttle.slow(now))}
    grants = {}
    for name in wish.names:
        limit = limits.groups.get(name, 0) if name else limits.per_second
        held, slowed = slow.get(name, Slow(0, None))
        rate = min(filter(None, (limit, slowed)), default=float("inf"))
        if held:
            grants[name] = Grant(0, 0, held, rate)
        elif rate < float("inf"):
            grants[name] = throttles[name].take(rate, now)
    state.clear()
    state.update({name: asdict(throttle) for name, throttle in throttles.items()})
    return Answer(grants, slow)


def take_of_hour(state: State, now: float, *, limit: int, unused: Mapping[int, int], wanted: bool) -> Grant | None:
    """Counts what is taken of an hour's limit, in slots, and takes back what was not used of earlier slots.

    A slot counts until an hour has passed since the last permit of it was good: no hour sees more than the limit.
    """
    oldest = (now - HOUR - HOUR_VALID) // SLOT
    # A slot that has not come yet was counted before the clock was set back: it counts as the present one.
    used: dict[int, int] = {}
    present = int(now // SLOT)
    for slot, count in ((min(int(slot), present), count) for slot, count in state.items()):
        if slot >= oldest:
            used[slot] = used.get(slot, 0) + count
    for slot, count in unused.items():
        if slot in used:
            used[slot] = max(used[slot] - count, 0)
    grant = None
    if wanted:
        count = max(min(limit - sum(used.values()), max(limit // PORTION, 1)), 0)
        used[present] = used.get(present, 0) + count
        first = min(slot for slot in used if used[slot] or slot == present)
        again = 0.0 if count else (first + 1) * SLOT + HOUR + HOUR_VALID - now
        grant = Grant(count, HOUR_VALID, again, slot=present)
    state.clear()
    state.update({str(slot): count for slot, count in used.items() if count})
    return grant
