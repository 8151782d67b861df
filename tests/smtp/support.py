"""What the tests of the SMTP client share: a source that notes everything, short deadlines, ways to talk."""

from collections import deque
from typing import Any

from mailservice.smtp import (
    Accepted,
    Ambiguous,
    Deadlines,
    Letter,
    Loop,
    Outcome,
    Reply,
    Server,
    Trouble,
)
from tests.faults.mail_server import MailServer

MODES: dict[str, dict[str, bool]] = {
    "lock-step": {"pipelining": False, "chunking": False},
    "pipelining": {"pipelining": True, "chunking": False},
    "chunking": {"pipelining": True, "chunking": True},
}
CALM = Deadlines(connect=5, greeting=5, command=5, data=5, write=5, final=5, quit=1)
SHORT = Deadlines(connect=0.3, greeting=0.3, command=0.3, data=0.3, write=0.3, final=0.3, quit=0.3)


def letter(name: str, body: bytes = b"Good day.\r\n", key: int = 0) -> Letter:
    """A letter to name@example.org."""
    head = b"Message-ID: <%b@test>\r\nSubject: hello\r\n\r\n" % name.encode()
    return Letter(key, "sender@example.org", f"{name}@example.org", head + body)


def letters(count: int, body: bytes = b"Good day.\r\n") -> list[Letter]:
    """Letters to r0@example.org, r1@…"""
    return [letter(f"r{n}", body, key=n) for n in range(count)]


class Outbox:
    """A source that notes all it is told. Like a breaker, it gives nothing more after a trouble."""

    def __init__(self, *given: Letter, stubborn: bool = False) -> None:
        self.waiting = deque(given)
        self.given: list[Letter] = []
        self.begun: list[str] = []
        self.outcomes: dict[str, Outcome] = {}
        self.troubles: list[Trouble] = []
        self.readies = 0
        self.withdrawn: set[str] = set()
        self._stubborn = stubborn

    def take(self, most: int) -> list[Letter]:
        if self.troubles and not self._stubborn:
            return []
        letters = [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]
        self.given += letters
        return [letter._replace(key=letter) for letter in letters]

    def begin(self, keys: list[Letter]) -> list[Letter]:
        begun = [letter for letter in keys if letter.recipient not in self.withdrawn]
        for letter in begun:
            assert letter.recipient not in self.outcomes, "begun after its end"
            self.begun.append(letter.recipient)
        return begun

    def accept(self, keys: list[Letter], replies: list[str]) -> None:
        for letter, reply in zip(keys, replies, strict=True):
            self.end(letter, Accepted(Reply.parse((250, reply.encode()))))

    def end(self, key: Letter, outcome: Outcome) -> None:
        assert key.recipient not in self.outcomes, "ended twice"
        self.outcomes[key.recipient] = outcome

    def trouble(self, trouble: Trouble) -> None:
        self.troubles.append(trouble)

    def ready(self) -> None:
        self.readies += 1

    def outcome(self, name: str) -> Outcome:
        return self.outcomes[f"{name}@example.org"]

    def kinds(self) -> list[type]:
        """Types of the outcomes, in the order of the letters."""
        return [type(self.outcomes[given.recipient]) for given in self.given]


def server_for(mail: MailServer, **how: Any) -> Server:
    return Server(mail.host, mail.port, **({"deadlines": CALM} | how))


def send(outbox: Outbox, server: Server, **how: Any) -> Outbox:
    """Run a loop over everything in the outbox."""
    loop = Loop(server, **how)
    loop.run(outbox, pulse=lambda: True)
    loop.close()
    return outbox


def assert_ledger_agrees(outbox: Outbox, mail: MailServer) -> None:
    """Every letter ended once; accepted letters are in the server's ledger once, refused and unsent ones never."""
    assert set(outbox.outcomes) == {given.recipient for given in outbox.given}
    for recipient, outcome in outbox.outcomes.items():
        held = len(mail.letters_to(recipient))
        match outcome:
            case Accepted():
                assert held == 1, f"{recipient}: {outcome}, yet the server has {held}"
            case Ambiguous():
                assert held <= 1
            case _:
                assert held == 0, f"{recipient}: {outcome}, yet the server has it"
