"""Letters are accepted by the burst where the server says plain yeses: the same comes of it as reply by reply."""

from collections import deque
from sys import getrefcount
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailservice.smtp import Accepted, Letter, Outcome, Reply, Server
from mailservice.smtp.protocol import Phase, Protocol
from mailservice.smtp.source import AT_ONCE, Gathering, Supply
from mailservice.smtp.terms import Mode

LETTERS, WINDOW = 24, 8
OFFERS = {
    Mode.CHUNKING: b"250-peer\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE 1000\r\n",
    Mode.PIPELINING: b"250-peer\r\n250 PIPELINING\r\n",
}
USUAL = (b"250 2.0.0 Ok", b"250 2.1.0 Ok", b"250 2.1.5 Ok")
UNUSUAL = (
    b"250 2.0.0 Ok: queued as 4F1C2",
    b"250 Ok",
    b"250 2.6.0 other words",
    b"250 2.1.0 out of step",
    b"250 2.0.0",
    b"250 2.0.0  two  spaces",
    b"250 2.0.0 one behind ",
    b"250 2.0.0 a \\ and a \t",
    b"250 2.0.0 \xd0\xb4\xd0\xb0",
    b"250 2.0.0 " + b"long" * 300,
    b"250-more\r\n250 2.0.0 lines",
    b"250",
    b"251 2.0.0 Ok",
    b"354 go on",
    b"451 4.3.0 later",
    b"550 5.7.1 no",
    b"421 4.3.2 closing",
    b"garbage",
)


class Talk:
    """A protocol that is told a script of replies, a burst at a time, each cut into pieces of `cut` octets."""

    def __init__(self, mode: Mode, *, cut: int):
        self.bursts = 0
        self.outcomes: dict[int, Outcome] = {}
        self.begun: list[int] = []
        self._mode, self._cut = mode, cut
        self._waiting = deque(Letter(n, "s@x", f"r{n}@x", b"Good day\r\n", clean=True) for n in range(LETTERS))
        self.protocol = Protocol(Server("peer"), WINDOW, 0.0, private=True)
        for said in (b"220 hi\r\n", OFFERS[mode]):
            self._hand_over()
            self.protocol.receive(said, self, 0.0)

    def begin(self, keys: list[int]) -> list[int]:
        self.begun += keys
        return keys

    def accept(self, keys: list[int], replies: list[str]) -> None:
        self.bursts += 1
        for key, reply in zip(keys, replies, strict=True):
            self.end(key, Accepted(Reply.parse((250, reply.encode()))))
            assert str(Reply.parse((250, reply.encode()))) == reply

    def end(self, key: int, outcome: Outcome) -> None:
        assert key not in self.outcomes
        self.outcomes[key] = outcome

    def hold(self, script: list[bytes]) -> None:
        """Takes letters whenever it may, and hears the next replies whenever the server owes some."""
        replies, protocol, following = deque(script), self.protocol, False
        while protocol.phase is Phase.READY and (self._waiting or protocol.in_flight):
            before = len(self.outcomes), protocol.in_flight
            while (room := protocol.room) and self._waiting:
                count = min(room, len(self._waiting))
                protocol.take([self._waiting.popleft() for _ in range(count)], self, 0.0)
            self._hand_over()
            owed = self._owed(following=following)
            following = True
            said = b"".join((replies.popleft() if replies else usual) + b"\r\n" for usual in owed)
            for start in range(0, len(said), self._cut):
                protocol.receive(said[start : start + self._cut], self, 0.0)
            if protocol.cleared:
                protocol.go_on(self, is_begun=self.begin([protocol.cleared.key]) != [])
            self._hand_over()
            if (len(self.outcomes), protocol.in_flight) == before:
                protocol.lost("nothing moves", self)
        protocol.abandon("it is over", self)

    def _owed(self, *, following: bool) -> list[bytes]:
        ok, mail, rcpt = USUAL
        if self._mode is Mode.CHUNKING:
            return [ok, mail, rcpt, ok] * self.protocol.in_flight
        envelope = [mail, rcpt, b"354 go"] if self.protocol.in_flight > 1 or not following else []
        return [*([ok] if following else []), *envelope]

    def _hand_over(self) -> None:
        while size := self.protocol.outgoing.size:
            self.protocol.sent(size, 0.0)


replies = st.lists(st.sampled_from([b""] * 60 + list(UNUSUAL)), max_size=4 * LETTERS)


@pytest.mark.parametrize("mode", [Mode.CHUNKING, Mode.PIPELINING])
@settings(max_examples=100, deadline=None)
@given(drawn=replies, cut=st.sampled_from([5, 90, 300]))
@example(drawn=[b"", b"", b"", b"", b"354 go on"], cut=90)
def test_the_same_comes_of_the_same_replies_however_they_are_cut(mode: Mode, drawn: list[bytes], cut: int) -> None:
    at_once, by_octet, by_piece = (Talk(mode, cut=size) for size in (1 << 20, 1, cut))
    script = _script(mode, drawn)
    for talk in (at_once, by_octet, by_piece):
        talk.hold(script)
    assert by_octet.bursts == 0, "one octet is no burst"
    assert at_once.outcomes == by_octet.outcomes == by_piece.outcomes
    assert at_once.begun == by_octet.begun == by_piece.begun


@pytest.mark.parametrize("mode", [Mode.CHUNKING, Mode.PIPELINING])
def test_plain_yeses_are_taken_by_the_burst(mode: Mode) -> None:
    talk = Talk(mode, cut=1 << 20)
    talk.hold([])
    assert {type(outcome) for outcome in talk.outcomes.values()} == {Accepted}
    assert len(talk.outcomes) == LETTERS
    assert talk.bursts == {Mode.CHUNKING: 3, Mode.PIPELINING: LETTERS - 2}[mode]


@pytest.mark.parametrize("mode", [Mode.CHUNKING, Mode.PIPELINING])
def test_of_a_letter_in_flight_the_content_is_not_kept(mode: Mode) -> None:
    protocol, content = Talk(mode, cut=1 << 20).protocol, b"".join([b"Good ", b"day\r\n"])
    kept, source = getrefcount(content), Talk(mode, cut=1 << 20)
    protocol.take([Letter("a", "s@x", "r@x", content, clean=True)], source, 0.0)
    protocol.sent(protocol.outgoing.size, 0.0)
    if mode is Mode.PIPELINING:
        assert getrefcount(content) > kept, "the server has not said yet whether it wants it"
        protocol.receive(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n", source, 0.0)
        protocol.sent(protocol.outgoing.size, 0.0)
    assert protocol.in_flight == 1
    assert getrefcount(content) == kept


def test_letters_for_several_connections_are_made_in_one_go() -> None:
    asked: list[int] = []

    def take(most: int) -> list[Letter]:
        asked.append(most)
        return [Letter(n, "s@x", "r@x", b"") for n in range(most)]

    supply = Supply(SimpleNamespace(take=take))  # type: ignore[arg-type]
    supply.wanted = 2
    assert [len(supply.take(8)) for _ in range(2)] == [8, 8]
    assert asked == [16]
    supply.wanted = 10
    assert [len(supply.take(8)) for _ in range(3)] == [8, 8, 8]
    assert asked == [16, AT_ONCE]


def _script(mode: Mode, drawn: list[bytes]) -> list[bytes]:
    """What was drawn; empty stands for what is usual there, as long as nothing unusual has shifted the commands."""
    ok, mail, rcpt = USUAL
    usual = [ok, mail, rcpt, ok] if mode is Mode.CHUNKING else [mail, rcpt, b"354 go", ok]
    return [said or usual[n % len(usual)] for n, said in enumerate(drawn)]


def test_what_was_accepted_before_a_refusal_is_told_before_it():
    told = []
    source = SimpleNamespace(
        begin=None,
        accept=lambda letters, replies: told.append(("accepted", letters)),
        end=lambda letter, outcome: told.append(("refused", letter)),
    )
    round_ = Gathering(source)
    round_.accept(["a"], ["250 Ok"])
    round_.accept(["b"], ["250 Ok"])
    round_.end("c", "552")
    round_.accept(["d"], ["250 Ok"])
    round_.tell()
    assert told == [("accepted", ["a", "b"]), ("refused", "c"), ("accepted", ["d"])]
