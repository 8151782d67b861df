"""The exchange of letters on a connection that is open: who is in flight, how far, and what each reply means.

One class for the three ways to talk: in lock-step; with PIPELINING, where the next envelope travels behind the
final dot; and with CHUNKING, where whole letters follow each other. Replies come in the order of commands, so
the letters in flight stand in one queue and each knows which reply it waits for and how much of it was written.
"""

from collections import deque

from . import envelope
from .flight import DATA, FINAL, MAIL, NAMES, NOTHING, RCPT, RSET, Flight, Outgoing
from .letter import Letter
from .offers import Offers
from .outcome import Accepted, Ambiguous, Deferred, NotSent, Outcome, Rejected, Stage
from .reply import RawReply, Reply
from .server import Server
from .terms import Broken, Handler, Mode

_STAGES = {MAIL: Stage.MAIL, RCPT: Stage.RCPT, DATA: Stage.DATA, FINAL: Stage.CONTENT}

AHEAD = 128 * 1024  # octets: no letter is begun while so much still waits for the socket


class Exchange:
    """Letters in flight on one connection. Every method may raise Broken; then judge() ends what is left."""

    def __init__(self, server: Server, offers: Offers, outgoing: Outgoing, window: int) -> None:
        self.flights: deque[Flight] = deque()
        self.taken = 0
        self.stopped = False  # nothing new is begun
        self.closing = False  # the server said 421: it hangs up after this
        self.lament: Broken | None = None  # why it is closing, where that is trouble
        self._offers = offers
        self._out = outgoing
        pipelining = offers.pipelining and server.pipelining
        chunking = pipelining and offers.chunking and server.chunking
        self.mode = Mode.CHUNKING if chunking else Mode.PIPELINING if pipelining else Mode.LOCK_STEP
        self._window = window
        self._limit = server.letters_per_connection
        self._reset = chunking  # RSET comes before the next MAIL
        self._early: set[str | None] = set()  # enhanced codes of the first letter's MAIL and RCPT
        self._not_final: frozenset[str | None] | None = None  # those of them that its content was not answered with

    @property
    def room(self) -> bool:
        """Whether one more letter may be taken now."""
        if self.closing or self.stopped or self.retired:
            return False
        if self.mode is Mode.CHUNKING:
            return len(self.flights) < self._window and self._out.size < AHEAD
        return not self.flights or (self.mode is Mode.PIPELINING and self.flights[-1].awaiting == FINAL)

    @property
    def retired(self) -> bool:
        """Whether this connection has carried all the letters that it may carry."""
        return self._limit is not None and self.taken >= self._limit

    @property
    def at_ease(self) -> bool:
        """Whether the server may hang up now and it is nobody's trouble: all is answered, or it is between letters.

        A server that closes behind its answer to one letter often meets our MAIL for the next one under way.
        """
        if all(flight.settled for flight in self.flights):
            return True
        served = self.taken > len(self.flights)
        return served and self.flights[0].awaiting <= MAIL and not self._may_be_sent()

    def take(self, letter: Letter, handler: Handler) -> None:
        """Queue the envelope (with CHUNKING the content too); what we refuse ourselves ends here."""
        refused = envelope.refusal(letter, self._offers)
        if refused is not None:
            handler.end(letter, refused)
            return
        chunking = self.mode is Mode.CHUNKING
        if chunking and not handler.begin(letter):
            handler.end(letter, NotSent("withdrawn"))
            return
        flight = Flight(letter, RSET if self._reset else MAIL)
        self.flights.append(flight)
        self.taken += 1
        if chunking:
            flight.begun = True
            content = letter.content
            self._out.add(b"%bBDAT %d LAST\r\n" % (self._envelope(letter), len(content)), flight, RCPT)
            self._out.add(content, flight, FINAL)
        elif self.mode is Mode.PIPELINING:
            self._out.add(self._envelope(letter) + b"DATA\r\n", flight, DATA)
        else:
            self._command(flight)
        self._reset = chunking

    def hear(self, replies: list[RawReply], handler: Handler) -> None:
        """Take the server's next replies, in order."""
        start, end = 0, len(replies)
        while start < end:
            if self.mode is Mode.CHUNKING and self._is_plain_yes(replies[start : start + 4]):
                self._accept(replies[start + 3], handler)
                start += 4
            else:
                self._answer(replies[start], handler)
                start += 1

    def _is_plain_yes(self, replies: list[RawReply]) -> bool:
        """Whether they are four yeses to a letter wholly written and not yet answered: what nearly all replies are."""
        if len(replies) < 4 or not self.flights or self._not_final is None or self.closing or self.stopped:
            return False
        head = self.flights[0]
        is_fresh = head.awaiting == RSET and head.written == FINAL and head.settled is None
        return is_fresh and replies[0][0] == replies[1][0] == replies[2][0] == replies[3][0] == 250

    def _accept(self, raw: RawReply, handler: Handler) -> None:
        reply = Reply.parse(raw)
        self._check_step(reply)
        self._end(handler, Accepted(reply))

    def _answer(self, raw: RawReply, handler: Handler) -> None:
        if not self.flights:
            raise Broken("the server said something that nothing had asked for", Reply.parse(raw), quiet=self.taken > 0)
        flight = self.flights[0]
        step = flight.awaiting
        if step > flight.written:
            raise Broken(f"the server answered {NAMES[step]} before it was there", Reply.parse(raw))
        if step == FINAL:
            self._final(flight, raw, handler)
        elif raw[0] == 421:
            self._shut(flight, Reply.parse(raw))
        elif step == DATA:
            self._data(flight, raw, handler)
        elif 200 <= raw[0] < 300:
            if self._not_final is None and step in (MAIL, RCPT):
                self._early.add(Reply.parse(raw).enhanced)
            self._next(flight)
        else:
            self._no(flight, raw, handler)
        if self.lament is not None and not self._may_be_sent():
            raise self.lament
        if self.stopped:
            self.give_back()

    def give_back(self) -> None:
        """After a stop: take back what was not begun, also by hanging up, once nothing else is in flight."""
        if self.flights and not any(flight.begun for flight in self.flights):
            raise Broken("withdrawn", quiet=True)

    def withdraw(self, handler: Handler) -> None:
        """Begin nothing more; letters of which no octet was written are ended as not sent."""
        self.stopped = True
        unwritten = {flight for flight in self.flights if flight.written == NOTHING}
        self._out.drop(unwritten)
        self.flights = deque(flight for flight in self.flights if flight not in unwritten)
        for flight in unwritten:
            handler.end(flight.letter, NotSent("withdrawn"))
        self.give_back()

    def judge(self, reason: str, handler: Handler, *, hung_up: bool) -> None:
        """The connection is gone: end every letter by how far it had come.

        `hung_up`: the server closed. After its 421 that means it took nothing behind it; else it may have.
        """
        while self.flights:
            flight = self.flights.popleft()
            outcome = flight.settled
            if outcome is None and (flight.written < FINAL or (self.closing and hung_up)):
                outcome = NotSent(reason)
            handler.end(flight.letter, outcome or Ambiguous(reason))

    def _envelope(self, letter: Letter) -> bytes:
        reset = b"RSET\r\n" if self._reset else b""
        return reset + envelope.mail(letter, self._offers) + envelope.rcpt(letter)

    def _command(self, flight: Flight) -> None:
        """Lock-step: write the command whose reply the letter waits for."""
        step = flight.awaiting
        if step == RCPT:
            self._out.add(envelope.rcpt(flight.letter), flight, step)
        elif step == MAIL:
            self._out.add(envelope.mail(flight.letter, self._offers), flight, step)
        else:
            self._out.add(b"DATA\r\n" if step == DATA else b"RSET\r\n", flight, step)

    def _next(self, flight: Flight) -> None:
        step = flight.awaiting
        if self.mode is Mode.CHUNKING:
            flight.awaiting = FINAL if step == RCPT else step + 1
            return
        flight.awaiting = step + 1
        if self.mode is Mode.LOCK_STEP:
            self._command(flight)

    def _no(self, flight: Flight, raw: RawReply, handler: Handler) -> None:
        """Something else than a yes to RSET, MAIL or RCPT."""
        reply, step = Reply.parse(raw), flight.awaiting
        if step == RSET and self.mode is not Mode.CHUNKING:
            self._next(flight)  # what RSET gets is ignored
        elif step == RSET:
            # Between whole letters it is not: nobody refuses RSET, so replies have come out of step with the
            # commands, and the next 250 would be another letter's.
            raise Broken("the server refused RSET: its replies are out of step", reply)
        elif 400 <= reply.code < 600:
            self._refused(flight, reply, handler)
        else:
            raise Broken(f"the server's answer to {NAMES[step]} is none", reply)

    def _refused(self, flight: Flight, reply: Reply, handler: Handler) -> None:
        """MAIL, RCPT or DATA was refused: the first refusal counts, replies to what was sent behind it follow."""
        step = flight.awaiting
        if flight.settled is None:
            flight.settled = _verdict(reply, _STAGES[step])
        self._reset = True
        if self.mode is Mode.LOCK_STEP or step == DATA:
            self._end(handler, flight.settled)
        else:
            self._next(flight)

    def _data(self, flight: Flight, raw: RawReply, handler: Handler) -> None:
        code = raw[0]
        if code == 354:
            flight.awaiting = FINAL
            if flight.settled is not None:  # refused, and yet it wants content: none (RFC 2920 §3.1)
                self._out.add(b".\r\n", flight, FINAL)
            elif self.stopped or not handler.begin(flight.letter):
                raise Broken("withdrawn", quiet=True)  # hanging up is the only way back from here
            else:
                flight.begun = True
                self._out.add(envelope.dotted(flight.letter), flight, FINAL)
        elif 400 <= code < 600:
            self._refused(flight, Reply.parse(raw), handler)
        else:
            raise Broken("the server's answer to DATA is none", Reply.parse(raw))

    def _final(self, flight: Flight, raw: RawReply, handler: Handler) -> None:
        code, reply = raw[0], Reply.parse(raw)
        outcome = flight.settled
        if not (200 <= code < 300 or 400 <= code < 600):
            raise Broken("the server's answer to the content is none", reply)
        if code >= 400:
            outcome = outcome or _verdict(reply, Stage.CONTENT)
        elif outcome is None:
            self._check_step(reply)
            outcome = Accepted(reply)
        elif self.mode is Mode.CHUNKING:
            flight.settled = None  # which of its two answers holds, nobody knows
            raise Broken("the server accepted a letter that it had refused before", reply)
        self._end(handler, outcome)
        if code == 421:
            self._close(Broken("the server closed after its answer", reply, quiet=True))

    def _end(self, handler: Handler, outcome: Outcome) -> None:
        handler.end(self.flights.popleft().letter, outcome)

    def _check_step(self, reply: Reply) -> None:
        """See that a 250 is for the content and not for MAIL or RCPT: servers word them differently.

        One that swallows an answer, or gives one twice, would else have a letter accepted that it may not have.
        """
        if self._not_final is None:
            self._not_final = frozenset(self._early - {None, reply.enhanced})
        if reply.enhanced in self._not_final:
            raise Broken("the server's replies are out of step", reply)

    def _shut(self, flight: Flight, reply: Reply) -> None:
        """421 before the content: the server closes, through no fault of the letter."""
        if flight.settled is None:
            flight.settled = NotSent(f"the server closed: {reply}")
        if self.mode is Mode.CHUNKING:
            self._next(flight)
        self._close(Broken("the server closed", reply))

    def _close(self, lament: Broken) -> None:
        # With CHUNKING, letters behind may be handed over already: only the server's hanging up tells that they
        # were not taken. Nothing more is written.
        self._out.clear()
        self.closing = True
        self.lament = self.lament or lament
        if not self._may_be_sent():
            raise self.lament

    def _may_be_sent(self) -> bool:
        """Whether a letter is handed over and unanswered."""
        return any(flight.written == FINAL and flight.settled is None for flight in self.flights)


def _verdict(reply: Reply, stage: Stage) -> Deferred | Rejected:
    return Deferred(reply) if reply.code < 500 else Rejected(reply, stage)
