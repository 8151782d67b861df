"""A crowd of readers with keep-alive connections, as small as can be, so that the server is what is measured."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"


@dataclass
class Outcome:
    """Seconds of each answer, in the order in which they came."""

    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0
    wrong: int = 0

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.lasted

    def percentile(self, share: float) -> float:
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


def crowd(port: int, path: str, *, readers: int, seconds: float) -> Outcome:
    """So many readers ask for the page again and again, for so long."""
    outcome, lock = Outcome(), threading.Lock()
    begun = time.perf_counter()
    end = begun + seconds

    def read(_number: int) -> None:
        mine, wrong = [], 0
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while time.perf_counter() < end:
            took, is_right = _ask(connection, path)
            mine.append(took)
            wrong += not is_right
        connection.close()
        with lock:
            outcome.seconds += mine
            outcome.wrong += wrong

    _together(read, readers)
    outcome.lasted = time.perf_counter() - begun
    return outcome


def alone(port: int, path: str, *, times: int, before: Callable[[], object]) -> Outcome:
    """One reader asks so many times, each time after `before`."""
    outcome = Outcome()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    for _ in range(times):
        before()
        took, is_right = _ask(connection, path)
        outcome.seconds.append(took)
        outcome.wrong += not is_right
    connection.close()
    outcome.lasted = sum(outcome.seconds)
    return outcome


def _ask(connection: http.client.HTTPConnection, path: str) -> tuple[float, bool]:
    begun = time.perf_counter()
    connection.request("GET", path, headers={"User-Agent": FIREFOX, "Accept-Language": "en"})
    answer = connection.getresponse()
    body = answer.read()
    return time.perf_counter() - begun, answer.status == 200 and b"</html>" in body


def _together(act: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=act, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
