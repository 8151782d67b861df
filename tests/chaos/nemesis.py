"""The nemesis: from a seed it plans what breaks, when and for how long, and carries it out."""

from __future__ import annotations

import heapq
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.chaos import harm_to_mail, harm_to_processes, harm_to_servers
from tests.chaos.world import CONNECTIONS, WINDOW, World, chance_of

PAUSE = (0.3, 1.2)  # seconds between two acts
AIM = 4.0  # seconds that a blow waits for letters to be on their way
BLIND = 0.2  # how many do not wait: what is about to begin, or to recover, is hit too
LOOK_EVERY = 0.01  # seconds
FIRST = ["kill -9 a sender, and a race for it", "SIGSTOP to a sender"]  # in every storm, however short
IN_FLIGHT = CONNECTIONS * WINDOW  # letters of one sender

# What it may do, by name: how often beside the others, and how. It returns what it did; nothing, if that was broken.
Harm = dict[str, tuple[int, Callable[["Nemesis", "Act"], str]]]


class Act(NamedTuple):
    """`which` and `long` are dice, from 0 to 1: whom it hits, and how hard."""

    pause: float  # seconds before it
    is_blind: bool
    name: str
    which: float
    long: float


class Sleep(NamedTuple):
    """A sender was stopped, and went on; seconds since the epoch."""

    since: float
    until: float


class Nemesis:
    """`at_risk` counts the letters that were in flight, at most, whenever answers were lost."""

    def __init__(self, world: World, seed: int):
        self.world = world
        self.kills = 0  # of senders
        self.at_risk = 0
        self.sleeps: list[Sleep] = []
        self._resting: set[str] = set()  # processes that nobody is to start now
        self._broken: set[str] = set()  # what is left alone until its repair
        self._repairs: list[tuple[float, int, Callable[[], object]]] = []  # by when they are due
        self._numbers = itertools.count()
        self._harm: Harm = harm_to_processes.HARM | harm_to_servers.HARM | harm_to_mail.HARM
        if world.postgres:
            self._harm |= harm_to_servers.HARM_TO_POSTGRES
        self._plan = self._make_plan(seed)

    def _make_plan(self, seed: int) -> Iterator[Act]:
        chance = chance_of(seed, "nemesis")
        names, weights = list(self._harm), [weight for weight, _ in self._harm.values()]
        for name in FIRST:
            yield Act(chance.uniform(*PAUSE), False, name, chance.random(), chance.random())
        while True:
            name = chance.choices(names, weights)[0]
            yield Act(chance.uniform(*PAUSE), chance.random() < BLIND, name, chance.random(), chance.random())

    def rage(self, seconds: float) -> None:
        """Carries out as much of the plan as there is time for.

        From the main thread, which lives as long as the processes: they end with the one that started them.
        """
        end = time.monotonic() + seconds
        for act in self._plan:
            self._wait(act.pause)
            if not act.is_blind:
                self._aim()
            if time.monotonic() > end:
                return
            _, do = self._harm[act.name]
            if done := do(self, act):
                self.world.timeline.note(f"{act.name}: {done}")

    def heal(self) -> None:
        """Everything that is broken is repaired, and everything that has ended is started again."""
        while self._repairs:
            heapq.heappop(self._repairs)[2]()
        for wire in self.world.wires:
            wire.heal()
        self.world.mail.forget()
        self.world.mail.delay = 0.0
        self.world.tend(set())
        self.world.timeline.note("all is healed")

    def _aim(self) -> None:
        """Waits for a letter: a blow between two of them proves little."""
        begun = self.world.eavesdropper.begun
        before = len(begun)
        self._wait(AIM, lambda: len(begun) > before)

    def _wait(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Meanwhile what is due is repaired, and what has ended is started again."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end and not is_over():
            while self._repairs and self._repairs[0][0] <= now:
                heapq.heappop(self._repairs)[2]()
            self.world.tend(self._resting)
            time.sleep(min(LOOK_EVERY, max(end - now, 0)))

    # What the harm is done with

    def later(self, seconds: float, repair: Callable[[], object]) -> None:
        heapq.heappush(self._repairs, (time.monotonic() + seconds, next(self._numbers), repair))

    def is_broken(self, what: str) -> bool:
        return what in self._broken

    def broke(self, what: str, seconds: float, repair: Callable[[], object]) -> str:
        """`what` is left alone for so long, and then repaired."""

        def mend() -> None:
            repair()
            self._broken.discard(what)
            self.world.timeline.note(f"{what} is well again")

        self._broken.add(what)
        self.later(seconds, mend)
        return f"for {seconds:.1f} s"

    def risk_flights(self, senders: int) -> None:
        """So many senders may never hear what became of their letters in flight."""
        self.at_risk += senders * IN_FLIGHT

    def kill(self, name: str, rest: float) -> None:
        """With -9; for so many seconds nobody starts it again."""
        if name in self.world.senders:
            self.kills += 1
            self.risk_flights(1)
        self.world.signal(name, signal.SIGKILL)
        self._resting.add(name)
        self.later(rest, lambda: self._resting.discard(name))

    def stop(self, name: str, seconds: float) -> str:
        """SIGSTOP, and later SIGCONT."""
        since, is_sender = time.time(), name in self.world.senders
        if is_sender:
            self.risk_flights(1)

        def go_on() -> None:
            if is_sender:
                self.sleeps.append(Sleep(since, time.time()))
            self.world.signal(name, signal.SIGCONT)
            self.world.timeline.note(f"{name} goes on")

        self.world.signal(name, signal.SIGSTOP)
        self.later(seconds, go_on)
        return f"{name}, for {seconds:.1f} s"
