"""One SMTP connection as a state machine: octets and times in, octets and outcomes out; no socket, no clock."""

from collections.abc import Callable
from enum import Enum

from .bursts import BurstExchange
from .flight import DATA, FINAL, NAMES, Flight, Outgoing
from .letter import Letter
from .opening import Ask, Failed, Handshake, Script, opening
from .outcome import Trouble, TroubleKind
from .reply import RawReply, Reply, ReplyReader
from .server import Server
from .terms import Broken, Handler, Mode

_LOCAL_REFUSALS = 64  # letters taken in one go at most, so that refusing them all does not hold up the loop


class Phase(Enum):
    """OPENING → (HANDSHAKE → OPENING) → READY → (QUITTING) → DEAD, and from each straight to DEAD."""

    OPENING = "opening"
    HANDSHAKE = "handshake"  # the caller does TLS now, then calls handshaken()
    READY = "ready"
    QUITTING = "quitting"
    DEAD = "dead"  # close the socket; `trouble` says why, unless it was in good order


class Protocol:
    """Give it what was received, hand over what is `outgoing`, ask it for its `deadline`.

    When it is DEAD every letter it took has been ended, exactly once. Times are seconds on the caller's clock.
    """

    def __init__(self, server: Server, window: int, now: float, *, private: bool) -> None:
        self.phase = Phase.OPENING
        self.outgoing = Outgoing()
        self.trouble: Trouble | None = None
        self._server = server
        self._window = window
        self._reader = ReplyReader()
        self._script: Script = opening(server, private=private)
        self._ask = Ask(b"", server.deadlines.greeting, "greeting")
        self._exchange: BurstExchange | None = None
        self._since = now  # when the wait for the present reply began
        self._progress = now  # when the socket last took an octet
        self._converse(None)

    @property
    def room(self) -> int:
        """How many letters may be taken now."""
        return self._exchange.room if self.phase is Phase.READY and self._exchange is not None else 0

    @property
    def in_flight(self) -> int:
        """Letters taken and not ended."""
        return len(self._exchange.flights) if self._exchange else 0

    @property
    def retired(self) -> bool:
        """Whether it has carried all the letters it may carry, and they are ended."""
        return self._exchange is not None and self._exchange.retired and not self._exchange.flights

    @property
    def mode(self) -> Mode | None:
        """How letters follow each other; None before the server's offers are known."""
        return self._exchange.mode if self._exchange else None

    def feed(self, supply: Callable[[int], list[Letter]], handler: Handler, now: float) -> bool:
        """Take letters while there is room; whether there is more room than there were letters."""
        taken = 0
        while room := self.room:
            letters = supply(room) if taken < _LOCAL_REFUSALS else []
            if not letters:
                return True
            taken += len(letters)
            if self.take(letters, handler, now) and len(letters) == room:
                break  # it is full
        return False

    def take(self, letters: list[Letter], handler: Handler, now: float) -> bool:
        """Queue letters; only as many as there is `room` for. Whether all of them were queued."""
        if self._exchange is None:
            raise AssertionError("no room before the opening is over")
        if not self._exchange.flights:
            self._since = now
        if not self.outgoing.size:
            self._progress = now
        return self._exchange.take(letters, handler)

    def receive(self, data: bytes, handler: Handler, now: float) -> None:
        """Octets came from the server."""
        if self.phase is Phase.QUITTING:
            self.phase = Phase.DEAD  # whatever it says to QUIT
        if self.phase is Phase.DEAD:
            return
        try:
            if self._exchange is not None and (yeses := self._reader.feed_yeses(data)):
                self._since = now
                self._exchange.hear_yeses(yeses, handler)
                return
            replies = self._reader.feed(data)
            if replies:
                self._since = now
            if self._exchange is None:
                for position, raw in enumerate(replies, 1):
                    self._open(raw)
                    if self._exchange is not None:
                        replies = replies[position:]
                        break
            if self._exchange is not None:
                self._exchange.hear(replies, handler)
            if self._reader.garbled:
                raise Broken(self._reader.garbled)
            if self.phase is Phase.HANDSHAKE and self._reader.has_partial:
                raise Broken("the server sent plain text behind STARTTLS")
        except Broken as broken:
            self._break(broken, handler, hung_up=False)
        except Failed as failed:
            self._die(failed.trouble)

    @property
    def cleared(self) -> Flight | None:
        """A letter whose content the server waits for: go_on() tells whether it may begin."""
        return self._exchange.cleared if self._exchange else None

    def go_on(self, handler: Handler, *, is_begun: bool) -> None:
        """The letter that is `cleared` was begun, or may not begin."""
        if self._exchange is not None:
            try:
                self._exchange.go_on(is_begun)
            except Broken as broken:
                self._break(broken, handler, hung_up=False)

    def sent(self, count: int, now: float) -> None:
        """The socket took `count` octets of what is outgoing."""
        head = self._exchange.flights[0] if self._exchange and self._exchange.flights else None
        before = head.written(self.outgoing) if head else None
        self.outgoing.advance(count)
        self._progress = now
        if head is None or head.written(self.outgoing) != before:
            self._since = now

    def handshaken(self, now: float) -> None:
        """The handshake that the HANDSHAKE phase asked for succeeded: everything said before is forgotten."""
        self.phase = Phase.OPENING
        self._since = self._progress = now
        self._reader = ReplyReader()
        try:
            self._converse(None)
        except Failed as failed:
            self._die(failed.trouble)

    def lost(self, reason: str, handler: Handler, *, hung_up: bool = True) -> None:
        """The connection is gone, and everything that had been received was given in before.

        `hung_up`: the server closed or reset it; otherwise the network broke.
        """
        if self.phase is Phase.READY:
            quiet = hung_up and self._exchange is not None and self._exchange.at_ease
            self._break(Broken(reason, quiet=quiet), handler, hung_up=hung_up)
        elif self.phase is Phase.QUITTING:
            self.phase = Phase.DEAD
        elif self.phase is not Phase.DEAD:
            self._die(Trouble(TroubleKind.HOST, f"{reason}, at the {self._ask.name}"))

    def deadline(self) -> float | None:
        """When expire() is due; None when the server owes nothing."""
        if self.phase is Phase.QUITTING:
            return self._since + self._server.deadlines.quit
        if self._exchange is None:
            return self._since + self._ask.limit
        return self._owed()[0] if self._exchange.flights else None

    def expire(self, handler: Handler, now: float) -> None:
        """Give the server up if its deadline has passed."""
        due = self.deadline()
        if due is None or now < due or self.phase is Phase.DEAD:
            return
        if self.phase is Phase.QUITTING:
            self.phase = Phase.DEAD
        elif self._exchange is None:
            self._die(Trouble(TroubleKind.HOST, f"no answer to the {self._ask.name} in {self._ask.limit:g} s"))
        else:
            self._break(Broken(self._owed()[1]), handler, hung_up=False)

    def withdraw(self, handler: Handler) -> None:
        """Begin no more letters, give back those not begun; those in flight are still waited for."""
        if self._exchange is not None and self.phase is Phase.READY:
            try:
                self._exchange.withdraw(handler)
            except Broken as broken:
                self._break(broken, handler, hung_up=False)

    def abandon(self, reason: str, handler: Handler) -> None:
        """Stop waiting, at our own wish: nobody's trouble, but what was handed over is ambiguous."""
        self._break(Broken(reason, quiet=True), handler, hung_up=False)

    def resume(self) -> None:
        """Letters may be begun again after withdraw()."""
        if self._exchange is not None:
            self._exchange.stopped = False

    def quit(self, now: float) -> None:
        """Say QUIT; only when nothing is in flight."""
        self.phase = Phase.QUITTING
        self._since = now
        self.outgoing.add(b"QUIT\r\n")

    def _owed(self) -> tuple[float, str]:
        """Until when the server has to do its next step, and what to say if it does not."""
        if self._exchange is None:
            raise AssertionError("letters are in flight only after the opening")
        limits, head = self._server.deadlines, self._exchange.flights[0]
        written = head.written(self.outgoing)
        stalled = f"the server took no octet for {limits.write:g} s"
        if self._exchange.closing:
            limit = limits.command
        elif head.awaiting > written:
            return self._progress + limits.write, stalled
        elif written == FINAL:  # it may have the letter: from here on only patience helps
            limit = limits.final
        else:
            limit = limits.data if head.awaiting == DATA else limits.command
            if self.outgoing.size:  # a server may keep its replies until it has read what it was sent
                limit = max(limit, self._progress + limits.write - self._since)
        return self._since + limit, f"no answer to {NAMES[head.awaiting]} in {limit:g} s"

    def _open(self, raw: RawReply) -> None:
        if self.phase is Phase.HANDSHAKE:
            raise Broken("the server sent plain text behind STARTTLS")
        reply = Reply.parse(raw)
        if self.outgoing.size:
            raise Broken(f"the server answered {self._ask.name} before it was there", reply)
        self._converse(reply)

    def _converse(self, reply: Reply | None) -> None:
        """Take the opening one step further."""
        try:
            step = self._script.send(reply)
        except StopIteration as end:
            self._exchange = BurstExchange(self._server, end.value, self.outgoing, self._window)
            self.phase = Phase.READY
            return
        if isinstance(step, Handshake):
            self.phase = Phase.HANDSHAKE
            return
        self._ask = step
        if step.command:
            self.outgoing.add(step.command)

    def _break(self, broken: Broken, handler: Handler, *, hung_up: bool) -> None:
        exchange = self._exchange
        self.phase = Phase.DEAD
        lament = (exchange and exchange.lament) or broken
        reason = f"{lament.reason}: {lament.reply}" if lament.reply else lament.reason
        if exchange is not None:
            exchange.judge(reason, handler, hung_up=hung_up)
        if not lament.quiet:
            self._die(Trouble(TroubleKind.HOST, lament.reason, lament.reply))

    def _die(self, trouble: Trouble) -> None:
        self.phase = Phase.DEAD
        self.trouble = trouble
