"""Senders in a time of their own, which passes when the test says so; what they share is kept in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mailservice.mail_servers import Limits
from mailservice.sending.pacing import Pace
from mailservice.smtp.outcome import Accepted, Deferred
from mailservice.smtp.reply import Reply

SERVER = "smtp.example:25"
STEP = 0.005  # seconds


class Memory:
    """A store whose clock is not the senders' clock, and may be set."""

    def __init__(self, steady: Callable[[], float]):
        self.documents: dict[str, dict[str, Any]] = {}
        self.ahead = 1_800_000_000.0
        self._steady = steady

    def now(self) -> float:
        return self._steady() + self.ahead

    def update(self, name: str, act: Callable[[dict[str, Any], float], Any]) -> Any:
        return act(self.documents.setdefault(name, {}), self.now())

    def look(self, name: str, act: Callable[[dict[str, Any], float], Any]) -> Any:
        return act(copy.deepcopy(self.documents.get(name, {})), self.now())


class World:
    """`delay()` is how many seconds the next question to the store takes."""

    def __init__(self, limits: Limits, *, senders: int = 1, delay: Callable[[], float] = lambda: STEP):
        self.time = 0.0
        self.store = Memory(self.steady)
        self.asked = 0
        self._delay = delay
        self._tasks: list[tuple[float, Callable[[], None]]] = []
        self.senders = [
            Pace(SERVER, limits, shared=self.store, lasting=self.store, submit=self._submit, steady=self.steady)
            for _ in range(senders)
        ]
        self.sent: list[list[float]] = [[] for _ in self.senders]

    def steady(self) -> float:
        return self.time

    def _submit(self, task: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.asked += 1
        self._tasks.append((self.time + self._delay(), lambda: future.set_result(task(*args))))
        return future

    def step(self) -> None:
        self.time += STEP
        due = [task for at, task in self._tasks if at <= self.time]
        self._tasks = [(at, task) for at, task in self._tasks if at > self.time]
        for task in due:
            task()
        for sender in self.senders:
            sender.turn()

    def run(
        self,
        seconds: float,
        *,
        demand: Callable[[int], int] = lambda _: 1_000,
        group: str = "rest",
        server: Callable[[], str] = lambda: "250 2.0.0 ok",
    ) -> None:
        """Each sender tries to begin `demand(its number)` letters in every step, and the server answers at once."""
        for _ in range(round(seconds / STEP)):
            self.step()
            for number, pace in enumerate(self.senders):
                for _ in range(demand(number)):
                    if not (pace.is_free or pace.may(group)):
                        break
                    self.sent[number].append(self.time)
                    outcome = answer(server())
                    if isinstance(outcome, Deferred) or not pace.is_free:
                        pace.note(group, outcome)

    def clear(self) -> None:
        """Forgets what was sent so far."""
        for sent in self.sent:
            sent.clear()

    def all_sent(self) -> list[float]:
        return sorted(at for sent in self.sent for at in sent)


def answer(words: str) -> Accepted | Deferred:
    """What becomes of a letter, by the server's words."""
    reply = Reply.parse((int(words[:3]), words.encode()))
    return Accepted(reply) if reply.code == 250 else Deferred(reply)


def excess(sent: list[float], rate: float) -> float:
    """By how many letters the fullest stretch of time holds more than the rate allows for its length."""
    most = lowest = 0.0
    for number, at in enumerate(sent):
        lowest = min(lowest, number - rate * at) if number else -rate * at
        most = max(most, number + 1 - rate * at - lowest)
    return most
