"""One connection to the mail server: socket, TLS and protocol, driven by a selector; it never blocks."""

import selectors
import ssl
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from .exchange import AHEAD
from .flight import Flight
from .letter import Letter
from .outcome import Trouble, TroubleKind
from .protocol import Phase, Protocol
from .resolving import Resolution
from .server import Security, Server
from .terms import Handler, Mode
from .wire import Wire, words


class State(Enum):
    """What the connection is doing; TALKING says more in its protocol's phase."""

    RESOLVING = "resolving"
    CONNECTING = "connecting"
    HANDSHAKING = "handshaking"
    TALKING = "talking"
    CLOSED = "closed"


class Connection:
    """Opens itself when stepped; `trouble` says why it CLOSED, unless that was in good order."""

    def __init__(
        self, server: Server, window: int, context: ssl.SSLContext | None, selector: selectors.BaseSelector, now: float
    ) -> None:
        self.state = State.RESOLVING
        self.trouble: Trouble | None = None
        self.greeted = False  # the source was told that this connection is ready
        self._server, self._window, self._context, self._selector = server, window, context, selector
        self._resolution = Resolution(server.host, server.port)
        self._tried = -1  # index of the present address
        self._deadline = now + server.deadlines.connect  # of resolving, connecting, handshaking
        self._patience = self._deadline  # of the present address
        self._wire: Wire | None = None
        self._protocol: Protocol | None = None
        self._events = 0  # what the selector watches for
        self.poll(now)

    @property
    def is_open(self) -> bool:
        """Whether letters may be sent, now or when those in flight are answered."""
        return self._protocol is not None and self._protocol.phase is Phase.READY

    @property
    def is_opening(self) -> bool:
        """Whether it may become open."""
        if self._protocol is None:
            return self.state is not State.CLOSED
        return self._protocol.phase in (Phase.OPENING, Phase.HANDSHAKE)

    @property
    def room(self) -> int:
        """How many letters it takes now."""
        return self._protocol.room if self._protocol is not None else 0

    @property
    def cleared(self) -> Flight | None:
        """See Protocol.cleared."""
        return self._protocol.cleared if self._protocol is not None else None

    def go_on(self, handler: Handler, *, is_begun: bool) -> None:
        if self._protocol is not None:
            self._protocol.go_on(handler, is_begun=is_begun)

    @property
    def in_flight(self) -> int:
        """Letters taken and not ended."""
        return self._protocol.in_flight if self._protocol else 0

    @property
    def mode(self) -> Mode | None:
        """How letters follow each other; None while opening."""
        return self._protocol.mode if self._protocol else None

    def deadline(self) -> float | None:
        """When tick() has something to do; None when it has not."""
        if self.state is State.TALKING and self._protocol is not None:
            return self._protocol.deadline()
        return None if self.state is State.CLOSED else min(self._deadline, self._patience)

    def poll(self, now: float) -> None:
        """See whether the name has been resolved."""
        if self.state is not State.RESOLVING or not self._resolution.done:
            return
        if self._resolution.error:
            self._fail(TroubleKind.HOST, self._resolution.error)
        else:
            self._connect(now, "no address")

    def tick(self, handler: Handler, now: float) -> None:
        """Look at the deadlines."""
        if self.state is State.TALKING and self._protocol is not None:
            self._protocol.expire(handler, now)
            self._settle(handler, now)
        elif self.state is State.CONNECTING and self._patience <= now < self._deadline:
            self._connect(now, "timed out")
        elif self.state is not State.CLOSED and now >= self._deadline:
            self._fail(TroubleKind.HOST, f"no connection in time, while {self.state.value}")

    def step(self, events: int, handler: Handler, now: float) -> None:
        """The selector says that the socket is ready: take in what came. What is to be said, pump() writes."""
        if self._wire is None:
            return
        try:
            if self.state is State.CONNECTING:
                self._wire.connected()
                self._encrypt(handler, now) if self._server.security is Security.TLS else self._start(now)
            elif self.state is State.HANDSHAKING:
                self._shake(handler, now)
            elif events & selectors.EVENT_READ:
                self._read(self._wire, handler, now)
        except ssl.SSLCertVerificationError as error:
            self._fail(TroubleKind.CONFIGURATION, f"the server's certificate is not valid: {error.verify_message}")
        except OSError as error:
            if self.state is State.CONNECTING:
                self._connect(now, words(error))
            elif self.state is State.HANDSHAKING:
                self._fail(TroubleKind.HOST, f"the TLS handshake failed: {words(error)}")
            elif self._protocol is not None:
                self._protocol.lost(words(error), handler, hung_up=isinstance(error, ConnectionError))
                self._settle(handler, now)

    def pump(self, supply: Callable[[int], list[Letter]], handler: Handler, now: float) -> bool:
        """Take letters while there is room, and hand octets to the socket while it takes them; after each step.

        Whether there is room for more letters than there were.
        """
        protocol, wire = self._protocol, self._wire
        if protocol is None or wire is None or self.state is not State.TALKING:
            return False
        while True:
            is_hungry = protocol.feed(supply, handler, now)
            waiting = protocol.outgoing.size
            if not waiting or not self._write(protocol, wire, handler, now) or waiting < AHEAD:
                break
        if protocol.retired and protocol.phase is Phase.READY:
            self.quit(handler, now)
        self._settle(handler, now)
        self._listen(protocol)
        return is_hungry

    def quit(self, handler: Handler, now: float) -> None:
        """Take leave of the server; only when nothing is in flight. The deadline for its answer is `quit`."""
        protocol, wire = self._protocol, self._wire
        if protocol is None or wire is None or protocol.phase is not Phase.READY:
            self.close()
            return
        protocol.quit(now)
        self._write(protocol, wire, handler, now)
        self._settle(handler, now)
        self._listen(protocol)

    def withdraw(self, handler: Handler, now: float) -> None:
        """Begin no more letters; see Protocol.withdraw()."""
        if self._protocol is not None:
            self._protocol.withdraw(handler)
            self._settle(handler, now)

    def abandon(self, reason: str, handler: Handler) -> None:
        """Close without waiting for answers; letters in flight are ended."""
        if self._protocol is not None:
            self._protocol.abandon(reason, handler)
        self.close()

    def resume(self) -> None:
        """Letters may be begun again."""
        if self._protocol is not None:
            self._protocol.resume()

    def close(self) -> None:
        """Close the socket at once."""
        self.state = State.CLOSED
        self._drop_wire()

    def _connect(self, now: float, why: str) -> None:
        """Try the next address; the time that is left is shared among those left."""
        while True:
            self._drop_wire()
            self._tried += 1
            left = len(self._resolution.addresses) - self._tried
            if left <= 0:
                self._fail(TroubleKind.HOST, f"cannot connect to {self._server.host}:{self._server.port}: {why}")
                return
            try:
                self._wire = Wire(self._resolution.addresses[self._tried])
                break
            except OSError as error:
                why = words(error)
        self.state = State.CONNECTING
        self._patience = now + (self._deadline - now) / left
        self._watch(selectors.EVENT_WRITE)

    def _start(self, now: float) -> None:
        if self._wire is not None:
            self._protocol = Protocol(self._server, self._window, now, private=self._wire.private)
            self.state = State.TALKING
            self._watch(selectors.EVENT_READ)

    def _encrypt(self, handler: Handler, now: float) -> None:
        if self._wire is None or self._context is None:
            raise AssertionError("TLS needs a socket and a context")
        self.state = State.HANDSHAKING
        self._deadline = self._patience = now + self._server.deadlines.greeting
        self._watch(0)  # wrapping makes another socket object of it
        self._wire.encrypt(self._context, self._server.host)
        self._shake(handler, now)

    def _shake(self, handler: Handler, now: float) -> None:
        if self._wire is None:
            return
        wants = self._wire.handshake()
        if wants is not None:
            self._watch(selectors.EVENT_WRITE if wants else selectors.EVENT_READ)
        elif self._protocol is None:
            self._start(now)
            self._read(self._wire, handler, now)  # the greeting may have come with the handshake
        else:
            self.state = State.TALKING
            self._protocol.handshaken(now)

    def _read(self, wire: Wire, handler: Handler, now: float) -> None:
        if self._protocol is None:
            return
        data = wire.read()
        if data is None:
            return
        if data:
            self._protocol.receive(data, handler, now)
        else:
            self._protocol.lost("the server closed the connection", handler)
        self._settle(handler, now)

    def _write(self, protocol: Protocol, wire: Wire, handler: Handler, now: float) -> bool:
        """Hand over what is outgoing; False when the socket takes no more."""
        try:
            while protocol.outgoing.size and protocol.phase is not Phase.DEAD:
                count = wire.write(protocol.outgoing)
                if not count:
                    return False
                protocol.sent(count, now)
        except OSError as error:
            self._hear_out(protocol, wire, handler, now)
            protocol.lost(words(error), handler, hung_up=isinstance(error, ConnectionError))
            return False
        return True

    def _hear_out(self, protocol: Protocol, wire: Wire, handler: Handler, now: float) -> None:
        """The server hangs up while we write: what it said before may decide the fate of letters."""
        with suppress(OSError):
            while data := wire.read():
                protocol.receive(data, handler, now)

    def _settle(self, handler: Handler, now: float) -> None:
        """Follow the protocol's phase: close, start TLS, or watch for what it waits for."""
        protocol = self._protocol
        if protocol is None or self.state is State.CLOSED:
            return
        if protocol.phase is Phase.DEAD:
            self.trouble = protocol.trouble
            self.close()
        elif protocol.phase is Phase.HANDSHAKE and self.state is State.TALKING:
            self._encrypt(handler, now)

    def _listen(self, protocol: Protocol) -> None:
        """Watch for octets from the server, and for room in the socket only when something waits for it."""
        if self.state is State.TALKING:
            self._watch(selectors.EVENT_READ | (selectors.EVENT_WRITE if protocol.outgoing.size else 0))

    def _watch(self, events: int) -> None:
        """Tell the selector, when that is news."""
        if events == self._events or self._wire is None:
            return
        if not self._events:
            self._selector.register(self._wire.socket, events, self)
        elif events:
            self._selector.modify(self._wire.socket, events, self)
        else:
            self._selector.unregister(self._wire.socket)
        self._events = events

    def _drop_wire(self) -> None:
        if self._wire is not None:
            self._watch(0)
            self._wire.close()
            self._wire = None

    def _fail(self, kind: TroubleKind, reason: str) -> None:
        self.trouble = Trouble(kind, reason)
        self.close()
