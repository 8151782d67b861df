"""A network between two processes: it carries octets, and breaks, delays or loses them when told to."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

LOOK_EVERY = 0.02  # seconds between looks at what was told
BUSY = 0.002  # seconds between tries to hand over what waits
AT_ONCE = 65536  # octets


class Relay(threading.Thread):
    """Listens on a port of its own and carries every connection to `target`, a socket's path or a port.

    It always reads at once, whatever the far side does, so `heard(connection, octets, time)` learns when the
    caller sent them. What it is told holds for connections that are open and for those to come.
    """

    def __init__(self, target: Path | int, heard: Callable[[int, bytes, float], None] = lambda *_: None) -> None:
        super().__init__(daemon=True)
        self.delay = 0.0  # seconds, each way
        self.is_frozen = False  # nothing passes, nothing breaks
        self.is_deaf = False  # answers are lost
        self.is_down = False  # new connections are broken at once
        self.carried = 0  # connections so far
        self._target, self._heard = target, heard
        self._cut = threading.Event()
        self._stopped = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._pipes: list[_Pipe] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]

    def cut(self) -> None:
        """Breaks all connections that are open."""
        self._cut.set()

    def heal(self) -> None:
        self.delay, self.is_frozen, self.is_deaf, self.is_down = 0.0, False, False, False

    def stop(self) -> None:
        self._stopped.set()
        self.join(5)

    def run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        while not self._stopped.is_set():
            waits = any(pipe.queue for pipe in self._pipes)
            for key, _ in self._selector.select(BUSY if waits else LOOK_EVERY):
                key.data.read(self) if key.data else self._accept()
            if self._cut.is_set():
                self._cut.clear()
                self._drop(self._pipes, _break)
            for pipe in self._pipes:
                pipe.write(self)
            self._drop([pipe for pipe in self._pipes if pipe.is_over], socket.socket.close)
        self._drop(self._pipes, _break)
        self._listener.close()
        self._selector.close()

    def _accept(self) -> None:
        caller, _ = self._listener.accept()
        unix = isinstance(self._target, Path)
        called = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        try:
            if self.is_down:
                raise ConnectionRefusedError
            called.connect(str(self._target) if unix else ("127.0.0.1", self._target))
        except OSError:
            called.close()
            _break(caller)
            return
        self.carried += 1
        there, back = _Pipe(caller, called, self.carried), _Pipe(called, caller, 0)
        there.other, back.other = back, there
        for pipe in (there, back):
            if pipe.source.family == socket.AF_INET:
                pipe.source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pipe.source.setblocking(False)
            self._selector.register(pipe.source, selectors.EVENT_READ, pipe)
            self._pipes.append(pipe)

    def _drop(self, pipes: list[_Pipe], close: Callable[[socket.socket], object]) -> None:
        """Both ways of each connection."""
        gone = {end for pipe in pipes for end in (pipe, pipe.other)}
        for pipe in gone:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(pipe.source)
            close(pipe.source)
        self._pipes = [pipe for pipe in self._pipes if pipe not in gone]

    def hear(self, connection: int, octets: bytes) -> None:
        if connection:
            self._heard(connection, octets, time.time())


class _Pipe:
    """One way of one connection; `number` is the connection's on the caller's way, 0 on the way back."""

    def __init__(self, source: socket.socket, target: socket.socket, number: int) -> None:
        self.source, self.target, self.number = source, target, number
        self.other = self
        self.queue: deque[tuple[float, bytes]] = deque()  # what waits, and until when
        self.has_ended = False  # the source has said all
        self.is_over = False  # and it was handed over, or the connection is broken

    def read(self, relay: Relay) -> None:
        try:
            octets = self.source.recv(AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            self.is_over = self.other.is_over = True
            return
        if octets:
            relay.hear(self.number, octets)
            if self.number or not relay.is_deaf:
                self.queue.append((time.monotonic() + relay.delay, octets))
            return
        self.has_ended = True
        with contextlib.suppress(KeyError):
            relay._selector.unregister(self.source)

    def write(self, relay: Relay) -> None:
        while self.queue and not relay.is_frozen and self.queue[0][0] <= time.monotonic():
            due, octets = self.queue.popleft()
            try:
                count = self.target.send(octets)
            except BlockingIOError:
                count = 0
            except OSError:
                self.is_over = self.other.is_over = True
                return
            if count < len(octets):
                self.queue.appendleft((due, octets[count:]))
                return
        if self.has_ended and not self.queue and not relay.is_frozen:
            with contextlib.suppress(OSError):
                self.target.shutdown(socket.SHUT_WR)
            self.is_over = self.other.has_ended and not self.other.queue


def _break(end: socket.socket) -> None:
    """With RST, as a network does that forgets a connection."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
