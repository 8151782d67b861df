"""Drives many connections to one mail server in one thread, for somebody who has letters."""

import selectors
import ssl
import time
from collections.abc import Callable
from typing import Any

from .connection import Connection, State
from .outcome import Trouble, TroubleKind
from .server import Security, Server
from .source import Gathering, Nobody, Source, Supply, Witness, nothing

__all__ = ["Loop", "Source", "probe"]

_REOPENING = 1.0  # seconds between new connections after one has failed
_TICK = 0.05  # seconds between looks at the deadlines while the sockets are busy
_RESOLVING = 0.005  # seconds between looks at a name being resolved
_TRUST = 60.0  # seconds for which a server that was well is taken to be so still


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
        self._supply = Supply(Nobody())
        self._careful = False  # after a failure: one new connection at a time
        self._not_before = 0.0  # when the next one may be opened
        self._trusted_until = 0.0  # so long all connections may be opened at once, none going first
        self._stopping = False
        self._is_hungry = True  # a connection had room when last pumped: there were no letters for it
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
        patience: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Send until the source has nothing and nothing is in flight, or until pulse() says no.

        pulse() is called at least every `interval` seconds. After its no, nothing new is begun, letters not begun
        are given back, and answers are waited for: as long as their deadlines, or for the seconds that patience()
        gives as soon as it gives any; then they are ambiguous.
        """
        if self._closed:
            raise RuntimeError("this loop has been closed")
        self._supply = Supply(source)
        self._stopping = True
        try:
            self._attend(0)  # hear first which connections were closed meanwhile
            self._stopping = False
            self._is_hungry = True
            for connection in self._connections:
                connection.resume()
            self._send(pulse, interval, patience)
        except BaseException:
            self._drop(self._connections)  # the source is in no state to be told
            raise
        finally:
            self._drop([connection for connection in self._connections if not connection.is_open])
            self._supply = Supply(Nobody())
            if self._connections:
                self._trusted_until = self._clock() + _TRUST

    def close(self) -> None:
        """Take leave of the server for good. To be called once more does no harm."""
        if not self._closed:
            self._closed = True
            self.part()
            self._selector.close()

    def part(self) -> None:
        """Take leave of the server, within the deadline for QUIT; the next run opens connections anew."""
        now = self._clock()
        end = now + self._server.deadlines.quit
        for connection in list(self._connections):
            connection.quit(self._supply.source, now)
            self._after(connection, now)
        while self._connections and (now := self._clock()) < end:
            self._attend(end - now)
        self._drop(self._connections)

    def probe(self) -> Trouble | None:
        """Open one connection up to where letters could follow, and take leave; what went wrong, None when well."""
        failed: list[Trouble] = []
        self._supply = Supply(Witness(failed))
        self._open(self._clock())
        while not failed and not any(connection.is_open for connection in self._connections):
            self._attend(self._wait(self._clock() + 1.0))
        self.close()
        return failed[0] if failed else None

    def _send(self, pulse: Callable[[], bool], interval: float, patience: Callable[[], float | None]) -> None:
        supply, busy, next_pulse, end = self._supply, False, 0.0, float("inf")
        while True:
            now = self._clock()
            if now >= next_pulse:
                next_pulse = now + interval
                if not pulse() and not self._stopping:
                    self._stop(now)
                if self._stopping and (left := patience()) is not None:
                    end = min(end, now + left)
            room = not self._stopping and (self._is_hungry or len(self._connections) < self._most) and self._fill(now)
            if (self._stopping or supply.is_empty) and not any(c.in_flight for c in self._connections):
                return
            if now >= end:
                self._abandon()
                return
            until = min(next_pulse, end)
            timeout = min(until - now, _TICK) if busy else self._wait(until)
            busy = self._attend(0 if room else timeout)

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
        supply = nothing if self._stopping else self._supply.take
        self._supply.wanted = len(ready)
        connections: list[Connection] = [key.data for key, _ in ready]
        self._hear(ready, source, now)
        for connection in connections:
            if connection.pump(supply, source, now):
                self._is_hungry = True
            self._after(connection, now)
        if not ready or now >= self._next_tick:
            self._next_tick = now + _TICK
            for connection in list(self._connections):
                connection.poll(now)
                connection.tick(source, now)
                self._after(connection, now)
        return bool(ready)

    def _hear(self, ready: list[tuple[selectors.SelectorKey, int]], source: Source, now: float) -> None:
        """Take in what came for each, tell the source at once what was accepted, and begin at once what may be."""
        gathering = Gathering(source)
        cleared: list[tuple[Connection, Any]] = []
        try:
            for key, events in ready:
                connection: Connection = key.data
                connection.step(events, gathering, now)
                if not connection.greeted:
                    self._after(connection, now)  # so that ready() comes before the first letter
                if (flight := connection.cleared) is not None:
                    cleared.append((connection, flight.key))
        finally:
            gathering.tell()
        if cleared:
            begun = set(map(id, source.begin([key for _, key in cleared])))
            for connection, key in cleared:
                connection.go_on(source, is_begun=id(key) in begun)

    def _fill(self, now: float) -> bool:
        """Give letters to connections that have room, open more where that is not enough; whether room is left."""
        supply, room = self._supply, False
        for connection in self._connections[:]:
            if connection.room:
                connection.pump(supply.take, supply.source, now)
                self._after(connection, now)
                if supply.is_empty:
                    return False
                room = room or connection.room > 0
        self._is_hungry = room
        if not room and len(self._connections) < self._most:
            self._open_more(now)
        return room

    def _open_more(self, now: float) -> None:
        """Open connections, each for a letter in hand; the first one alone where the server may not be well."""
        states = [connection.is_open for connection in self._connections]
        opening = sum(connection.is_opening for connection in self._connections)
        allowed = self._most - len(states)
        if self._careful:
            allowed = 0 if opening or now < self._not_before else 1
        elif not any(states) and now >= self._trusted_until:
            allowed = 0 if opening else 1
        if not allowed and not opening:
            self._supply.reach(1)  # the source may have none, and then there is nothing to wait for
        while allowed > 0 and self._supply.reach(opening + 1):
            self._open(now)
            if self._careful:  # it failed at once
                break
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
        if not connection.greeted and connection.is_open:
            connection.greeted = True
            self._careful = False
            self._trusted_until = now + _TRUST
            self._supply.source.ready()
        elif connection.state is State.CLOSED and connection in self._connections:
            self._connections.remove(connection)
            if connection.trouble is not None:
                self._failed(connection.trouble, now, is_new=not connection.greeted)

    def _failed(self, trouble: Trouble, now: float, *, is_new: bool = True) -> None:
        """Of connections opened at once that all fail, the last speaks for all: it is one trouble."""
        self._careful = True
        self._trusted_until = 0.0
        self._not_before = now + _REOPENING
        if not any(connection.is_open for connection in self._connections):
            if is_new and any(connection.is_opening for connection in self._connections):
                return
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


def probe(server: Server) -> Trouble | None:
    """Whether the server is well: connect, EHLO (with TLS and AUTH), QUIT. What went wrong, None when well."""
    return Loop(server).probe()
