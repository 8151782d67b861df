"""Thousands of sessions with servers that go wrong at random, without sockets: no crash, and no wrong word.

The server here is a few lines that read what the protocol hands over and keep a ledger. Its faults come in two
kinds. Honest ones change what it says or cut the connection; then every outcome must agree with the ledger.
Wild ones also insert, double, drop and mutate octets; then each letter must still end exactly once.
"""

import random
import re
from collections import deque

import pytest

from mailservice.smtp import (
    Accepted,
    Ambiguous,
    Deadlines,
    Letter,
    Outcome,
    Server,
)
from mailservice.smtp.exchange import Mode
from mailservice.smtp.protocol import Phase, Protocol

SESSIONS = 1000  # of each kind and mode
NO, LATER = b"550 5.7.1 no\r\n", b"451 4.3.0 later\r\n"
CLOSING, TWO_CODES = b"421 4.3.2 closing\r\n", b"250-a\r\n550 b\r\n"
LINES = [NO, LATER, CLOSING, TWO_CODES, b"354 go\r\n", b"999 x\r\n", b"garbage\r\n", b"\r\n"]


class Peer:
    """A server as a function of what it has read so far."""

    def __init__(self, chance: random.Random, mode: Mode, faults: float, *, wild: bool) -> None:
        self.ledger: list[str] = []
        self.closed = False
        self.said = bytearray(b"220 hi\r\n")
        self._chance, self._faults, self._wild = chance, faults, wild
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
        if self._wild and self._chance.random() < self._faults:
            said = self._mutate(said)
        self.said += said
        return said[:1] == usual[:1] and said[3:4] == b" "

    def _mutate(self, said: bytes) -> bytes:
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

    def __init__(self, seed: int, mode: Mode, *, wild: bool) -> None:
        self.chance = random.Random(seed)
        chunking, pipelining = mode is Mode.CHUNKING, mode is not Mode.LOCK_STEP
        limits = Deadlines(1, 1, 1, 1, 1, 1, 1)
        server = Server("peer", deadlines=limits, pipelining=pipelining, chunking=chunking)
        self.peer = Peer(self.chance, mode, self.chance.choice([0.02, 0.1, 0.3]), wild=wild)
        self.protocol = Protocol(server, 4, 0.0, private=True)
        self.waiting = deque(Letter(n, "s@x", f"r{n}@x", b"a\r\n.\r\n" * (n % 5 + 1)) for n in range(12))
        self.given: list[str] = []
        self.outcomes: dict[str, Outcome] = {}
        self.now = 0.0

    def begin(self, letter: Letter) -> bool:
        return self.chance.random() < 0.97

    def end(self, letter: Letter, outcome: Outcome) -> None:
        assert letter.recipient not in self.outcomes
        self.outcomes[letter.recipient] = outcome

    def run(self) -> None:
        protocol, quiet = self.protocol, 0
        while protocol.phase is not Phase.DEAD:
            while protocol.room and self.waiting:
                letter = self.waiting.popleft()
                self.given.append(letter.recipient)
                protocol.take(letter, self, self.now)
            if not self.waiting and not protocol.in_flight and protocol.phase is Phase.READY:
                protocol.quit(self.now)
            if self.chance.random() < 0.002:
                protocol.withdraw(self)
                self.waiting.clear()
            quiet = 0 if self._carry() else quiet + 1
            if quiet > 1:
                self.now += 0.6
                protocol.expire(self, self.now)
                assert self.now < 200, "the protocol waits for ever"
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


@pytest.mark.parametrize("mode", Mode)
def test_whatever_an_honest_server_says_the_outcome_agrees_with_its_ledger(mode: Mode) -> None:
    seen: set[type] = set()
    for seed in range(SESSIONS):
        session = Session(seed, mode, wild=False)
        session.run()
        assert set(session.outcomes) == set(session.given), seed
        for recipient, outcome in session.outcomes.items():
            seen.add(type(outcome))
            held = session.peer.ledger.count(recipient)
            if isinstance(outcome, Accepted):
                assert held == 1, (seed, recipient, outcome)
            elif not isinstance(outcome, Ambiguous):
                assert held == 0, (seed, recipient, outcome)
    assert len(seen) == 5  # every outcome was met


@pytest.mark.parametrize("mode", Mode)
def test_whatever_a_wild_server_says_every_letter_ends_once_and_nothing_crashes(mode: Mode) -> None:
    for seed in range(SESSIONS):
        session = Session(seed, mode, wild=True)
        session.run()
        assert set(session.outcomes) == set(session.given), seed
