"""Thousands of sessions with servers that go wrong at random, without sockets: no crash, and no wrong word.

The server here is a few lines that read what the protocol hands over and keep a ledger. Its faults come in three
kinds. Honest ones change what it says or cut the connection: every outcome must agree with the ledger. Mutated
ones also change the octets of a reply, which stays one reply: no letter counts as accepted that was not. Wild
ones also double, swallow and join replies: each letter must still end exactly once. Nobody who is told less or
more than he asked can know which answer is whose, so only who asks one thing at a time is never wrong then.
"""

import random
import re
from collections import deque
from collections.abc import Iterator
from enum import Enum

import pytest

from mailservice.smtp import (
    Accepted,
    Ambiguous,
    Deadlines,
    Letter,
    Outcome,
    Reply,
    Server,
)
from mailservice.smtp.protocol import Phase, Protocol
from mailservice.smtp.terms import Mode

SESSIONS = 1200  # of each kind and mode
LIMIT = 1.0  # seconds that each step of the server may take
NO, LATER = b"550 5.7.1 no\r\n", b"451 4.3.0 later\r\n"
CLOSING, TWO_CODES = b"421 4.3.2 closing\r\n", b"250-a\r\n550 b\r\n"
LINES = [NO, LATER, CLOSING, TWO_CODES, b"354 go\r\n", b"999 x\r\n", b"garbage\r\n", b"\r\n"]


class Kind(Enum):
    """How a server goes wrong."""

    HONEST = "honest"
    MUTATED = "mutated"
    WILD = "wild"


class Peer:
    """A server as a function of what it has read so far."""

    def __init__(self, chance: random.Random, mode: Mode, faults: float, kind: Kind) -> None:
        self.ledger: list[str] = []
        self.closed = False
        self.said = bytearray(b"220 hi\r\n")
        self._chance, self._faults, self._kind = chance, faults, kind
        self._offers = {Mode.LOCK_STEP: b"", Mode.PIPELINING: b"250-PIPELINING\r\n"}.get(
            mode, b"250-PIPELINING\r\n250-CHUNKING\r\n"
        )
        self._heard = bytearray()
        self._recipient: bytes | None = None
        self._sender = self._in_data = False

    def hear(self, data: bytes) -> None:
        self._heard += data
        while not self.closed and self._one():
            pass

    def _one(self) -> bool:
        if self._in_data:
            whole = re.match(rb"(?s)(?:.*?\r\n)?\.\r\n", self._heard)
            if not whole:
                return False
            del self._heard[: whole.end()]
            self._in_data = False
            self._take()
            return True
        line, found, rest = bytes(self._heard).partition(b"\r\n")
        if not found:
            return False
        verb, *words = line.split(b" ")
        if verb == b"BDAT":
            if len(rest) < int(words[0]):
                return False
            rest = rest[int(words[0]) :]
        self._heard[:] = rest
        self._obey(verb, line)
        return True

    def _obey(self, verb: bytes, line: bytes) -> None:
        if verb == b"EHLO":
            self.said += b"250-peer\r\n" + self._offers + b"250 ENHANCEDSTATUSCODES\r\n"
        elif verb == b"MAIL":
            self._sender = self._say(b"250 2.1.0 ok\r\n")
        elif verb == b"RCPT" and self._sender:
            agreed = self._say(b"250 2.1.5 ok\r\n")
            self._recipient = line.partition(b"<")[2].partition(b">")[0] if agreed else None
        elif verb == b"RSET":
            self._sender, self._recipient = False, None
            self.said += b"250 2.0.0 ok\r\n"
        elif verb == b"DATA" and self._recipient:
            self._in_data = self._say(b"354 go\r\n")
        elif verb == b"BDAT" and self._recipient:
            self._take()
        else:
            self.said += b"503 5.5.1 no\r\n"

    def _take(self) -> None:
        recipient, self._recipient, self._sender = self._recipient, None, False
        if recipient and self._say(b"250 2.0.0 queued\r\n"):
            self.ledger.append(recipient.decode())

    def _say(self, usual: bytes) -> bool:
        """Say the usual or, at random, something else; whether what was said is a yes."""
        said = usual
        if self._chance.random() < self._faults:
            said = self._chance.choice([NO, LATER, *LINES])
            if self._chance.random() < 0.2:
                self.closed = True  # behind what it says, or before
                said = self._chance.choice([said, b""])
            elif said.startswith(b"421"):
                self.closed = True
        if self._kind is not Kind.HONEST and self._chance.random() < self._faults:
            said = self._garble(said) if self._kind is Kind.WILD else self._mutate(said)
        self.said += said
        return said[:1] == usual[:1] and said[3:4] in (b" ", b"\r")

    def _mutate(self, said: bytes) -> bytes:
        """Other octets, but as many replies as before: no line ends, and no hyphen that makes a line go on."""
        if not said or b"-" in said:
            return said
        octets = bytearray(said.removesuffix(b"\r\n"))
        where = self._chance.randrange(len(octets) + 1)
        match self._chance.randrange(3):
            case 0:
                octets[where : where + 1] = self._octets(1)
            case 1:
                del octets[where:]
            case _:
                octets[where:where] = self._octets(self._chance.randrange(1, 40))
        return bytes(octets) + b"\r\n"

    def _octets(self, count: int) -> bytes:
        return self._chance.randbytes(count).translate(None, b"\r\n-")

    def _garble(self, said: bytes) -> bytes:
        octets = bytearray(said or b"\r\n")
        where = self._chance.randrange(len(octets))
        match self._chance.randrange(5):
            case 0:
                octets[where] = self._chance.randrange(256)
            case 1:
                del octets[where:]
            case 2:
                octets[where:where] = self._chance.randbytes(self._chance.randrange(1, 40))
            case 3:
                octets *= 2
            case _:
                octets += self._chance.choice(LINES)
        return bytes(octets)


class Session:
    """A protocol and a peer, with octets carried in random pieces and a clock that only moves when nothing does."""

    def __init__(self, seed: int, mode: Mode, kind: Kind) -> None:
        self.chance = random.Random(seed)
        chunking, pipelining = mode is Mode.CHUNKING, mode is not Mode.LOCK_STEP
        limits = Deadlines(*[LIMIT] * 7)
        server = Server("peer", deadlines=limits, pipelining=pipelining, chunking=chunking)
        self.peer = Peer(self.chance, mode, self.chance.choice([0.02, 0.1, 0.3]), kind)
        self.protocol = Protocol(server, 4, 0.0, private=True)
        self.waiting = deque(Letter(f"r{n}@x", "s@x", f"r{n}@x", b"a\r\n.\r\n" * (n % 5 + 1)) for n in range(12))
        self.given: list[str] = []
        self.outcomes: dict[str, Outcome] = {}
        self.now = 0.0

    def begin(self, keys: list[str]) -> list[str]:
        return [key for key in keys if self.chance.random() < 0.97]

    def accept(self, keys: list[str], replies: list[str]) -> None:
        for key, reply in zip(keys, replies, strict=True):
            self.end(key, Accepted(Reply.parse((250, reply.encode()))))

    def end(self, key: str, outcome: Outcome) -> None:
        assert key not in self.outcomes
        self.outcomes[key] = outcome

    def run(self) -> None:
        protocol, quiet = self.protocol, 0
        while protocol.phase is not Phase.DEAD:
            while (room := protocol.room) and self.waiting:
                letters = [self.waiting.popleft() for _ in range(min(room, len(self.waiting)))]
                self.given += [letter.recipient for letter in letters]
                protocol.take(letters, self, self.now)
            if not self.waiting and not protocol.in_flight and protocol.phase is Phase.READY:
                protocol.quit(self.now)
            if self.chance.random() < 0.002:
                protocol.withdraw(self)
                self.waiting.clear()
            quiet = 0 if self._carry() else quiet + 1
            if quiet > 1 and protocol.phase is not Phase.DEAD:
                due = protocol.deadline()
                assert due is not None, "nothing moves, and no deadline"
                assert due <= self.now + LIMIT, "a deadline beyond the limit"
                self.now += 0.6 * LIMIT
                protocol.expire(self, self.now)
                assert self.now < 200 * LIMIT, "the protocol waits for ever"
            if self.peer.closed and not self.peer.said and protocol.phase is not Phase.DEAD:
                protocol.lost("closed", self)

    def _carry(self) -> bool:
        """Carry some octets each way; whether there were any."""
        moved = False
        out = b"".join(bytes(buffer) for buffer in self.protocol.outgoing.buffers(10_000))
        if out:
            count = min(len(out), self.chance.choice([1, 7, 50, 10_000]))
            self.protocol.sent(count, self.now)
            self.peer.hear(out[:count])
            moved = True
        if self.peer.said:
            count = self.chance.choice([1, 3, 20, 10_000])
            piece = bytes(self.peer.said[:count])
            del self.peer.said[:count]
            self.protocol.receive(piece, self, self.now)
            moved = True
        return moved


def sessions(mode: Mode, kind: Kind) -> Iterator[tuple[int, Session]]:
    """Sessions that are over, with their seeds; every letter of each has ended."""
    for seed in range(SESSIONS):
        session = Session(seed, mode, kind)
        session.run()
        assert set(session.outcomes) == set(session.given), seed
        yield seed, session


@pytest.mark.parametrize("mode", Mode)
def test_whatever_an_honest_server_says_the_outcome_agrees_with_its_ledger(mode: Mode) -> None:
    seen: set[type] = set()
    for seed, session in sessions(mode, Kind.HONEST):
        for recipient, outcome in session.outcomes.items():
            seen.add(type(outcome))
            held = session.peer.ledger.count(recipient)
            if isinstance(outcome, Accepted):
                assert held == 1, (seed, recipient, outcome)
            elif not isinstance(outcome, Ambiguous):
                assert held == 0, (seed, recipient, outcome)
    assert len(seen) == 5  # every outcome was met


@pytest.mark.parametrize("mode", Mode)
def test_no_letter_counts_as_accepted_that_was_not_however_replies_are_mutated(mode: Mode) -> None:
    for seed, session in sessions(mode, Kind.MUTATED):
        assert_accepted_is_true(seed, session)


@pytest.mark.parametrize("mode", Mode)
def test_whatever_a_wild_server_says_every_letter_ends_once_and_nothing_crashes(mode: Mode) -> None:
    for seed, session in sessions(mode, Kind.WILD):
        if mode is Mode.LOCK_STEP:
            assert_accepted_is_true(seed, session)


def assert_accepted_is_true(seed: int, session: Session) -> None:
    for recipient, outcome in session.outcomes.items():
        if isinstance(outcome, Accepted):
            assert session.peer.ledger.count(recipient) == 1, (seed, recipient, outcome)
