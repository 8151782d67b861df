"""Drives many connections to one mail server in one thread, for somebody who has letters."""

import selectors
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from .connection import Connection, State
from .letter import Letter
from .outcome import NotSent, Outcome, Trouble, TroubleKind
from .server import Security, Server

_REOPENING = 1.0  # seconds between new connections after one has failed
_TICK = 0.05  # seconds between looks at the deadlines while the sockets are busy
_RESOLVING = 0.005  # seconds between looks at a name being resolved


class Source(Protocol):
    """The one who has letters. All is called in the loop's thread; what it raises ends run() and every connection."""

    def next(self) -> Letter | None:
        """A letter whose envelope may be written now; None when there is none at this moment."""

    def begin(self, letter: Letter) -> bool:
        """Just before the first octet of the content is handed to the socket. False withdraws the letter."""

    def end(self, letter: Letter, outcome: Outcome) -> None:
        """Exactly once for every letter that next() gave."""

    def trouble(self, trouble: Trouble) -> None:
        """A connection failed, at its opening or with letters in flight; their end() has been called before."""

    def ready(self) -> None:
        """A connection has been opened up to where letters may follow: the server is well."""


class _Supply:
    """Letters for the connections: first those in hand, asked for before there was a connection to take them."""

    __slots__ = ("dry", "hand", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.hand: deque[Letter] = deque()
        self.dry = False  # the source had none when last asked

    def next(self) -> Letter | None:
        if self.hand:
            return self.hand.popleft()
        letter = self.source.next()
        self.dry = letter is None
        return letter

    def reach(self, count: int) -> bool:
        """Try to have `count` letters in hand."""
        while len(self.hand) < count and (letter := self.source.next()) is not None:
            self.hand.append(letter)
        self.dry = len(self.hand) < count
        return not self.dry

    def give_back(self, reason: str) -> None:
        while self.hand:
            self.source.end(self.hand.popleft(), NotSent(reason))


class _Nobody:
    """The source between runs: nothing is in flight then."""

    def next(self) -> Letter | None:
        return None

    def begin(self, letter: Letter) -> bool:
        return False

    def end(self, letter: Letter, outcome: Outcome) -> None: ...

    def trouble(self, trouble: Trouble) -> None: ...

    def ready(self) -> None: ...


class Loop:
    """Up to `connections` connections, each with up to `window` letters in flight where the server lets us.

    Connections stay open between runs; one that the server has closed meanwhile is replaced without a word.
    Not thread-safe, and not to be shared by processes.
    """

    def __init__(
        self,
        server: Server,
        *,
        connections: int = 1,
        window: int = 8,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._most = connections
        self._window = window
        self._clock = monotonic
        self._selector = selectors.DefaultSelector()
        self._connections: list[Connection] = []
        self._context: ssl.SSLContext | None = None
        self._supply = _Supply(_Nobody())
        self._careful = False  # after a failure: one new connection at a time
        self._not_before = 0.0  # when the next one may be opened
        self._stopping = False
        self._next_tick = 0.0
        self._closed = False

    @property
    def modes(self) -> list[str]:
        """How each open connection talks, for a doctor: "lock-step", "pipelining" or "chunking"."""
        return [mode.value for connection in self._connections if (mode := connection.mode) is not None]

    def run(
        self,
        source: Source,
        *,
        pulse: Callable[[], bool],
        interval: float = 0.5,
        patience: float | None = None,
    ) -> None:
        """Send until the source has nothing and nothing is in flight, or until pulse() says no.

        pulse() is called at least every `interval` seconds. After its no, nothing new is begun, letters not begun
        are given back, and answers are waited for: at most `patience` seconds, then they are ambiguous.
        """
        if self._closed:
            raise RuntimeError("this loop has been closed")
        self._supply = _Supply(source)
        self._stopping = False
        try:
            self._attend(0)  # hear first which connections were closed meanwhile
            for connection in self._connections:
                connection.resume()
            self._send(pulse, interval, patience)
        except BaseException:
            self._drop(self._connections)  # the source is in no state to be told
            raise
        finally:
            self._drop([connection for connection in self._connections if not connection.is_open])
            self._supply = _Supply(_Nobody())

    def close(self) -> None:
        """Take leave of the server, within the deadline for QUIT. To be called once more does no harm."""
        if self._closed:
            return
        self._closed = True
        now = self._clock()
        end = now + self._server.deadlines.quit
        for connection in list(self._connections):
            connection.quit(self._supply.source, now)
            self._after(connection, now)
        while self._connections and (now := self._clock()) < end:
            self._attend(end - now)
        self._drop(self._connections)
        self._selector.close()

    def probe(self) -> Trouble | None:
        """Open one connection up to where letters could follow, and take leave; what went wrong, None when well."""
        failed: list[Trouble] = []
        self._supply = _Supply(_Witness(failed))
        self._open(self._clock())
        while not failed and not any(connection.is_open for connection in self._connections):
            self._attend(self._wait(self._clock() + 1.0))
        self.close()
        return failed[0] if failed else None

    def _send(self, pulse: Callable[[], bool], interval: float, patience: float | None) -> None:
        supply, busy, next_pulse, end = self._supply, False, 0.0, float("inf")
        while True:
            now = self._clock()
            if now >= next_pulse:
                next_pulse = now + interval
                if not pulse() and not self._stopping:
                    end = now + (float("inf") if patience is None else patience)
                    self._stop(now)
            room = not self._stopping and self._fill(now)
            in_flight = any(connection.in_flight for connection in self._connections)
            if not in_flight and (self._stopping or (supply.dry and not supply.hand)):
                return
            if now >= end:
                self._abandon()
                return
            until = min(next_pulse, end)
            if room:
                busy = self._attend(0)
            else:
                busy = self._attend(min(until - now, _TICK) if busy else self._wait(until))

    def _wait(self, until: float) -> float:
        """Seconds to wait for a socket: not beyond `until` or the first deadline."""
        now = self._clock()
        for connection in self._connections:
            if connection.state is State.RESOLVING:
                until = min(until, now + _RESOLVING)
            deadline = connection.deadline()
            if deadline is not None and deadline < until:
                until = deadline
        if self._supply.hand and self._not_before > now:
            until = min(until, self._not_before)
        return max(until - now, 0.0)

    def _attend(self, timeout: float) -> bool:
        """Serve the sockets that are ready, then the deadlines; whether there was any."""
        ready = self._selector.select(max(timeout, 0.0))
        now = self._clock()
        source = self._supply.source
        supply = _none if self._stopping else self._supply.next
        for key, events in ready:
            connection: Connection = key.data
            connection.step(events, source, now)
            if not connection.greeted:
                self._after(connection, now)  # so that ready() comes before the first letter
            connection.pump(supply, source, now)
            self._after(connection, now)
        if not ready or now >= self._next_tick:
            self._next_tick = now + _TICK
            for connection in list(self._connections):
                connection.poll(now)
                connection.tick(source, now)
                self._after(connection, now)
        return bool(ready)

    def _fill(self, now: float) -> bool:
        """Give letters to connections that have room, open more where that is not enough; whether room is left."""
        supply, room = self._supply, False
        for connection in self._connections[:]:
            if connection.room:
                connection.pump(supply.next, supply.source, now)
                self._after(connection, now)
                if supply.dry and not supply.hand:
                    return False
                room = room or connection.room
        if not room and len(self._connections) < self._most:
            self._open_more(now)
        return room

    def _open_more(self, now: float) -> None:
        """Open connections, each for a letter in hand; the first one alone, to see whether the server is well."""
        states = [connection.is_open for connection in self._connections]
        opening = sum(connection.is_opening for connection in self._connections)
        allowed = self._most - len(states)
        if self._careful:
            allowed = 0 if opening or now < self._not_before else 1
        elif not any(states):
            allowed = 0 if opening else 1
        if not allowed and not opening:
            self._supply.reach(1)  # the source may have none, and then there is nothing to wait for
        while allowed > 0 and self._supply.reach(opening + 1):
            self._open(now)
            opening += 1
            allowed -= 1

    def _open(self, now: float) -> None:
        self._not_before = now + _REOPENING
        if self._server.security is not Security.NONE and self._context is None:
            try:
                self._context = ssl.create_default_context(cafile=self._server.ca_file)
            except OSError as error:
                reason = f"the certificates of {self._server.ca_file} cannot be read: {error}"
                self._failed(Trouble(TroubleKind.CONFIGURATION, reason), now)
                return
        connection = Connection(self._server, self._window, self._context, self._selector, now)
        self._connections.append(connection)
        self._after(connection, now)

    def _after(self, connection: Connection, now: float) -> None:
        """See whether the connection has become ready or is gone."""
        if connection.is_open and not connection.greeted:
            connection.greeted = True
            self._careful = False
            self._supply.source.ready()
        elif connection.state is State.CLOSED and connection in self._connections:
            self._connections.remove(connection)
            if connection.trouble is not None:
                self._failed(connection.trouble, now)

    def _failed(self, trouble: Trouble, now: float) -> None:
        self._careful = True
        self._not_before = now + _REOPENING
        if not any(connection.is_open for connection in self._connections):
            self._supply.give_back(f"{trouble.reason}: {trouble.reply}" if trouble.reply else trouble.reason)
        self._supply.source.trouble(trouble)

    def _stop(self, now: float) -> None:
        """Begin nothing new and give back what was not begun."""
        self._stopping = True
        self._supply.give_back("withdrawn")
        for connection in list(self._connections):
            connection.withdraw(self._supply.source, now)
            self._after(connection, now)

    def _abandon(self) -> None:
        for connection in [connection for connection in self._connections if connection.in_flight]:
            connection.abandon("we had to stop before the server answered", self._supply.source)
            self._connections.remove(connection)

    def _drop(self, connections: list[Connection]) -> None:
        """Close without a word to anybody."""
        for connection in list(connections):
            connection.close()
            self._connections.remove(connection)


class _Witness(_Nobody):
    """A source that only notes what goes wrong."""

    def __init__(self, failed: list[Trouble]) -> None:
        self._failed = failed

    def trouble(self, trouble: Trouble) -> None:
        self._failed.append(trouble)


def _none() -> Letter | None:
    return None


def probe(server: Server) -> Trouble | None:
    """Whether the server is well: connect, EHLO (with TLS and AUTH), QUIT. What went wrong, None when well."""
    return Loop(server).probe()
