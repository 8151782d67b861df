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
from .reply import SHOWN, RawReply, Reply
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
        self._least = max(window // 2, 1)  # room for fewer is none yet: bursts would fall to pieces
        self._limit = server.letters_per_connection
        self._reset = chunking  # RSET comes before the next MAIL
        self._early: set[str | None] = set()  # enhanced codes of the first letter's MAIL and RCPT
        self._not_final: frozenset[str | None] | None = None  # those of them that its content was not answered with
        self.cleared: Flight | None = None  # the server waits for its content, and begin() was not asked yet
        self._yes: str | None = None  # how a yes to the content begins, once one was heard

    @property
    def room(self) -> int:
        """How many letters may be taken now."""
        if self.closing or self.stopped or self.cleared is not None or self.retired:
            return 0
        if self.mode is Mode.CHUNKING:
            room = self._window - len(self.flights)
            if self._out.size >= AHEAD or room < self._least:
                return 0
            return room if self._limit is None else min(room, self._limit - self.taken)
        return int(not self.flights or (self.mode is Mode.PIPELINING and self.flights[-1].awaiting == FINAL))

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

    def take(self, letters: list[Letter], handler: Handler) -> bool:
        """Queue the envelopes (with CHUNKING the contents too); what we refuse ourselves ends here.

        Whether all of them were queued.
        """
        fit = self._fit(letters, handler)
        for letter in fit:
            flight = Flight(letter.key, RSET if self._reset else MAIL)
            flight.letter = letter
            self.flights.append(flight)
            self.taken += 1
            if self.mode is Mode.PIPELINING:
                size = len(letter.content)
                flight.queue(DATA, envelope.ahead(letter, self._offers, size, "DATA", reset=self._reset), self._out)
            else:
                self._command(flight)
            self._reset = False
        return len(fit) == len(letters)

    def _fit(self, letters: list[Letter], handler: Handler) -> list[Letter]:
        """Those that are fit to be sent here."""
        if envelope.are_plain(letters, self._offers):
            return letters
        return [letter for letter in letters if not self._refuse(letter, handler)]

    def _refuse(self, letter: Letter, handler: Handler) -> bool:
        refused = envelope.refusal(letter, self._offers)
        if refused is not None:
            handler.end(letter.key, refused)
        return refused is not None

    def hear(self, replies: list[RawReply], handler: Handler) -> None:
        """Take the server's next replies, in order."""
        for raw in replies:
            self.answer(raw, handler)

    def _hand_over(self, flight: Flight) -> None:
        content, flight.letter = envelope.stuffed(flight.unsent()), None
        flight.begun, flight.end = True, self._out.queued + len(content) + len(envelope.DOT)
        self._out.extend((content, envelope.DOT), flight.end)

    def _answered(self, finals: list[str]) -> int:
        """How many letters these accept, if with those before them they answer RSET, MAIL, RCPT and the content."""
        count = min(len(finals), len(self.flights))
        if not count or self.mode is not Mode.CHUNKING or self._yes is None or self.closing or self.stopped:
            return 0
        if self.flights[0].awaiting != RSET or self.flights[0].settled is not None:
            return 0
        while count and self.flights[count - 1].end > self._out.handed:
            count -= 1
        for position in range(count):
            if not finals[position].startswith(self._yes) or len(finals[position]) > SHOWN:
                return position
        return count

    def answer(self, raw: RawReply, handler: Handler) -> None:
        if not self.flights:
            raise Broken("the server said something that nothing had asked for", Reply.parse(raw), quiet=self.taken > 0)
        flight = self.flights[0]
        step = flight.awaiting
        if step > flight.written(self._out):
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
        unwritten: list[Flight] = []
        while self.flights and self.flights[-1].written(self._out) == NOTHING:
            unwritten.append(self.flights.pop())
        if unwritten:
            self._out.take_back(unwritten[-1].octets_to(self._out.queued))
        for flight in unwritten:
            handler.end(flight.key, NotSent("withdrawn"))
        self.give_back()

    def judge(self, reason: str, handler: Handler, *, hung_up: bool) -> None:
        """The connection is gone: end every letter by how far it had come.

        `hung_up`: the server closed. After its 421 that means it took nothing behind it; else it may have.
        """
        first = self.flights[0] if self.flights else None
        while self.flights:
            flight = self.flights.popleft()
            outcome, written = flight.settled, flight.written(self._out)
            if outcome is None and (written < FINAL or (self.closing and hung_up)):
                outcome = NotSent(reason, at_hand=flight is first and written >= RCPT)
            handler.end(flight.key, outcome or Ambiguous(reason))

    def _command(self, flight: Flight) -> None:
        """Lock-step: write the command whose reply the letter waits for."""
        step = flight.awaiting
        if step == RCPT:
            command = envelope.rcpt(flight.unsent())
        elif step == MAIL:
            command = envelope.mail(flight.unsent(), self._offers)
        else:
            command = b"DATA\r\n" if step == DATA else b"RSET\r\n"
        flight.queue(step, command, self._out)

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
                flight.queue(FINAL, envelope.DOT, self._out)
            elif self.stopped or not handler.begin([flight.key]):
                raise Broken("withdrawn", quiet=True)  # hanging up is the only way back from here
            else:
                self._hand_over(flight)
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
        handler.end(self.flights.popleft().key, outcome)

    def _check_step(self, reply: Reply) -> None:
        """See that a 250 is for the content and not for MAIL or RCPT: servers word them differently.

        One that swallows an answer, or gives one twice, would else have a letter accepted that it may not have.
        """
        if self._not_final is None:
            self._not_final = frozenset(self._early - {None, reply.enhanced})
        if reply.enhanced in self._not_final:
            raise Broken("the server's replies are out of step", reply)
        self._yes = f"250 {reply.enhanced} " if reply.enhanced else None

    def _shut(self, flight: Flight, reply: Reply) -> None:
        """421 before the content: the server closes, through no fault of the letter."""
        if flight.settled is None:
            flight.settled = NotSent(f"the server closed: {reply}", reply if flight.awaiting > RSET else None)
        if self.mode is Mode.CHUNKING:
            self._next(flight)
        self._close(Broken("the server closed", reply))

    def _close(self, lament: Broken) -> None:
        # With CHUNKING, letters behind may be handed over already: only the server's hanging up tells that they
        # were not taken. Nothing more is written.
        for flight in self.flights:
            flight.freeze(self._out)
        self._out.clear()
        self.closing = True
        self.lament = self.lament or lament
        if not self._may_be_sent():
            raise self.lament

    def _may_be_sent(self) -> bool:
        """Whether a letter is handed over and unanswered."""
        return any(flight.written(self._out) == FINAL and flight.settled is None for flight in self.flights)


def _verdict(reply: Reply, stage: Stage) -> Deferred | Rejected:
    return Deferred(reply) if reply.code < 500 else Rejected(reply, stage)
