"""What a server may do at every stage, in each way to talk, and what becomes of the letter."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from mailservice.smtp import (
    Accepted,
    Ambiguous,
    Deadlines,
    Deferred,
    Loop,
    NotSent,
    Rejected,
    Server,
    Stage,
    TroubleKind,
)
from tests.faults.mail_server import (
    ACCEPT,
    DROP,
    HANG,
    PASS,
    RESET,
    Action,
    Drip,
    MailServer,
    Wait,
    long_reply,
)
from tests.smtp.support import CALM, MODES, SHORT, Outbox, assert_ledger_agrees, letter, send, server_for

HOST = TroubleKind.HOST
SLOW = Drip("250 2.0.0 slowly, slowly, slowly", 0.05)
LARGE = b"A line of a letter that no socket buffer takes as a whole.\r\n" * 250_000
DATA_MODES = ("lock-step", "pipelining")


@dataclass(frozen=True)
class Case:
    """`outcomes` of the letter that are right; `stage` where it is rejected; `trouble` of the connection."""

    name: str
    script: Callable[[MailServer], None]
    outcomes: tuple[type, ...]
    trouble: TroubleKind | None = None
    stage: Stage | None = None
    modes: tuple[str, ...] = tuple(MODES)
    short: bool = False  # a deadline has to pass
    large: bool = False


def unsent(stage: str, name: str, action: Action, **more: object) -> Case:
    return Case(f"{stage}: {name}", lambda s: s.on(stage, action), (NotSent,), HOST, **more)  # type: ignore[arg-type]


def refused(stage: str, reply: str, at: Stage, *also: object, **more: object) -> Case:
    kind = Deferred if reply.startswith("4") else Rejected
    name = f"{stage}: {reply[:3]}{' and drop' if also else ''}"
    action = (reply, *also)
    return Case(name, lambda s: s.on(stage, action), (kind,), None, at, **more)  # type: ignore[arg-type]


def ambiguous(name: str, action: Action, **more: object) -> Case:
    return Case(f"dot: {name}", lambda s: s.on_dot(action), (Ambiguous,), HOST, **more)  # type: ignore[arg-type]


def accepted(name: str, action: Action, stage: str = "dot", **more: object) -> Case:
    return Case(f"{stage}: {name}", lambda s: s.on(stage, action), (Accepted,), **more)  # type: ignore[arg-type]


def in_turn(*pairs: tuple[str, Action]) -> Callable[[MailServer], None]:
    def script(mail: MailServer) -> None:
        for stage, action in pairs:
            mail.on(stage, action)

    return script


CASES = [
    # The greeting.
    unsent("connect", "421", "421 4.3.2 too busy"),
    unsent("connect", "554", "554 5.7.1 go away"),
    unsent("connect", "garbage", b"\x00\xff\xfegarbage\r\n"),
    unsent("connect", "another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    unsent("connect", "a code that does not exist", "999 hello"),
    unsent("connect", "drop", DROP),
    unsent("connect", "reset", RESET),
    unsent("connect", "hang", HANG, short=True),
    unsent("connect", "drip", Drip("220 slowly, slowly, slowly", 0.05), short=True),
    unsent("connect", "200 lines", long_reply(220)),
    unsent("connect", "70 KB in a line", b"220 " + b"x" * 70_000 + b"\r\n"),
    unsent("connect", "70 KB and no end", (b"220 " + b"x" * 70_000, HANG)),
    unsent("connect", "two greetings", ("220 hello", "220 hello")),
    # EHLO.
    unsent("ehlo", "421", "421 4.3.2 too busy"),
    unsent("ehlo", "451", "451 4.3.0 later"),
    unsent("ehlo", "354", "354 go ahead"),
    unsent("ehlo", "drop", DROP),
    unsent("ehlo", "reset", RESET),
    unsent("ehlo", "hang", HANG, short=True),
    unsent("ehlo", "drip", Drip("250 slowly, slowly, slowly", 0.05), short=True),
    unsent("ehlo", "200 lines", long_reply(250)),
    unsent("ehlo", "garbage", b"\r\n\r\n"),
    unsent("ehlo", "two codes in one reply", b"250-mail.test\r\n550 PIPELINING\r\n"),
    Case("ehlo and helo: 550", in_turn(("ehlo", "550 no"), ("helo", "550 no")), (NotSent,), HOST),
    accepted("500, then HELO", "500 what?", stage="ehlo"),
    # MAIL.
    refused("mail", "451 4.3.0 later", Stage.MAIL),
    refused("mail", "550 5.7.1 not you", Stage.MAIL),
    refused("mail", "552 5.3.4 too big", Stage.MAIL),
    refused("mail", "550 5.7.1 not you", Stage.MAIL, DROP),
    unsent("mail", "421", "421 4.7.0 closing"),
    unsent("mail", "421 and drop", ("421 4.7.0 closing", DROP)),
    unsent("mail", "354", "354 go ahead", modes=DATA_MODES),
    unsent("mail", "drop", DROP, modes=DATA_MODES),
    unsent("mail", "reset", RESET, modes=DATA_MODES),
    unsent("mail", "hang", HANG, short=True, modes=DATA_MODES),
    unsent("mail", "garbage", b"garbage\r\n", modes=DATA_MODES),
    unsent("mail", "two replies", ("250 ok", "250 ok"), modes=DATA_MODES),
    # RCPT.
    refused("rcpt", "450 4.2.1 greylisted", Stage.RCPT),
    refused("rcpt", "550 5.1.1 no such user", Stage.RCPT),
    refused("rcpt", "550 5.7.1 no relaying", Stage.RCPT),
    refused("rcpt", "550 5.1.1 no such user", Stage.RCPT, DROP),
    refused("rcpt", "450 4.2.1 greylisted", Stage.RCPT, RESET, modes=("lock-step",)),
    unsent("rcpt", "421", "421 4.7.0 closing"),
    unsent("rcpt", "421 and drop", ("421 4.7.0 closing", DROP)),
    unsent("rcpt", "drop", DROP, modes=DATA_MODES),
    unsent("rcpt", "reset", RESET, modes=DATA_MODES),
    unsent("rcpt", "hang", HANG, short=True, modes=DATA_MODES),
    unsent("rcpt", "drip", SLOW, short=True, modes=DATA_MODES),
    unsent("rcpt", "garbage", b"garbage\r\n", modes=DATA_MODES),
    unsent("rcpt", "two replies", ("250 ok", "250 ok"), modes=DATA_MODES),
    accepted("251 will forward", "251 2.1.5 will forward", stage="rcpt"),
    # With BDAT the content has left behind RCPT already: silence is ambiguous from here on.
    Case("rcpt: drop", lambda s: s.on("rcpt", DROP), (Ambiguous,), HOST, modes=("chunking",)),
    Case("mail: hang", lambda s: s.on("mail", HANG), (Ambiguous,), HOST, modes=("chunking",), short=True),
    Case(
        "rcpt: 550, yet BDAT 250",
        in_turn(("rcpt", "550 5.1.1 no"), ("bdat", "250 2.0.0 queued")),
        (Ambiguous,),
        HOST,
        modes=("chunking",),
    ),
    Case(
        "rcpt: 550, then BDAT 421",
        in_turn(("rcpt", "550 5.1.1 no"), ("bdat", ("421 4.7.0 closing", DROP))),
        (Rejected,),
        None,
        Stage.RCPT,
        modes=("chunking",),
    ),
    Case(
        "rcpt: 550, yet DATA 354",
        in_turn(("rcpt", "550 5.1.1 no"), ("data", "354 go ahead")),
        (Rejected,),
        None,
        Stage.RCPT,
        modes=("pipelining",),
    ),
    Case(
        "rset: 500 is ignored",
        in_turn(("rcpt", "550 5.1.1 no"), ("rset", "500 what?")),
        (Rejected,),
        None,
        Stage.RCPT,
        modes=DATA_MODES,
    ),
    # DATA.
    refused("data", "451 4.3.0 later", Stage.DATA, modes=DATA_MODES),
    refused("data", "554 5.7.1 no", Stage.DATA, modes=DATA_MODES),
    refused("data", "554 5.7.1 no", Stage.DATA, DROP, modes=DATA_MODES),
    unsent("data", "421", "421 4.7.0 closing", modes=DATA_MODES),
    unsent("data", "250", "250 ok", modes=DATA_MODES),
    unsent("data", "334", "334 go ahead", modes=DATA_MODES),
    unsent("data", "drop", DROP, modes=DATA_MODES),
    unsent("data", "reset", RESET, modes=DATA_MODES),
    unsent("data", "hang", HANG, short=True, modes=DATA_MODES),
    unsent("data", "garbage", b"garbage\r\n", modes=DATA_MODES),
    unsent("data", "two replies", ("354 go", "354 go"), modes=DATA_MODES),
    unsent("data", "an answer to the content, too early", ("354 go", "250 queued"), modes=DATA_MODES),
    unsent("data", "354, then drop", ("354 go", DROP), large=True, modes=DATA_MODES),
    # In the content, not all of which has been handed over.
    unsent("content", "drop", DROP, large=True),
    unsent("content", "reset", RESET, large=True),
    unsent("content", "hang", HANG, large=True, short=True),
    unsent("content", "552, too early", ("552 5.3.4 too big", HANG), large=True),
    unsent("content", "250, too early", ("250 ok", HANG), large=True),
    unsent("content", "421 and drop", ("421 4.3.0 closing", DROP), large=True),
    unsent("content", "garbage", (b"garbage\r\n", HANG), large=True),
    # … and when all of a small letter is in the kernel's hands.
    Case("content: drop", lambda s: s.on_content(DROP), (Ambiguous,), HOST),
    Case("content: reset", lambda s: s.on_content(RESET), (Ambiguous,), HOST),
    # After the content.
    accepted("usual", PASS),
    accepted("bare code", (ACCEPT, b"250\r\n")),
    accepted("many lines", (ACCEPT, b"250-first\r\n250-2.0.0 second\r\n250 third\r\n")),
    accepted("line ends without CR", (ACCEPT, b"250 2.0.0 queued\n")),
    accepted("octets that are no text", (ACCEPT, b"250 2.0.0 \xff\xfe\x07\x1b[31m queued\r\n")),
    accepted("in two parts", (ACCEPT, b"250 2.0.", Wait(0.02), b"0 queued\r\n")),
    accepted("252", "252 2.0.0 taken"),
    accepted("and drop", (PASS, DROP)),
    accepted("twice", ("250 2.0.0 queued", "250 2.0.0 queued")),
    accepted("slow, yet in time", Drip("250 2.0.0 queued", 0.01)),
    accepted("a large letter", PASS, large=True),
    refused("dot", "451 4.3.0 later", Stage.CONTENT),
    refused("dot", "452 4.3.1 no space", Stage.CONTENT),
    refused("dot", "421 4.3.2 closing", Stage.CONTENT),
    refused("dot", "421 4.3.2 closing", Stage.CONTENT, DROP),
    refused("dot", "451 4.3.0 later", Stage.CONTENT, DROP),
    refused("dot", "550 5.7.1 spam", Stage.CONTENT),
    refused("dot", "554 5.6.0 bad content", Stage.CONTENT),
    refused("dot", "550 5.7.1 spam", Stage.CONTENT, DROP),
    refused("dot", "552 5.3.4 too big", Stage.CONTENT),
    ambiguous("drop", DROP),
    ambiguous("reset", RESET),
    ambiguous("hang", HANG, short=True),
    ambiguous("accepted, then drop", (ACCEPT, DROP)),
    ambiguous("accepted, then reset", (ACCEPT, RESET)),
    ambiguous("accepted, then hang", (ACCEPT, HANG), short=True),
    ambiguous("accepted, then drip", SLOW, short=True),
    ambiguous("half a line, then drop", (ACCEPT, b"250 2.0.0 que", DROP)),
    ambiguous("a first line, then drop", (ACCEPT, b"250-2.0.0 queued\r\n", DROP)),
    ambiguous("garbage", (ACCEPT, b"garbage\r\n")),
    ambiguous("a code of two digits", (ACCEPT, b"25 ok\r\n")),
    ambiguous("a code and no space", (ACCEPT, b"250ok\r\n")),
    ambiguous("354", "354 more"),
    ambiguous("199", "199 hm"),
    ambiguous("999", "999 hm"),
    ambiguous("200 lines", (ACCEPT, long_reply(250))),
    ambiguous("70 KB in a line", (ACCEPT, b"250 " + b"x" * 70_000 + b"\r\n")),
    ambiguous("70 KB in 90 lines", (ACCEPT, long_reply(250, 90, 800))),
    ambiguous("two codes in one reply", (ACCEPT, b"250-ok\r\n550 no\r\n")),
    ambiguous("an empty line", (ACCEPT, b"\r\n")),
    # QUIT: all of it is ignored.
    accepted("500", "500 what?", stage="quit"),
    accepted("drop", DROP, stage="quit"),
    accepted("reset", RESET, stage="quit"),
    accepted("hang", HANG, stage="quit", short=True),
    accepted("garbage", b"garbage\r\n", stage="quit"),
]
BRIEF = {"connect": "greeting", "data": "data", "content": "write", "dot": "final", "quit": "quit"}


def short(case: Case, mode: str) -> Deadlines:
    """Only the deadline that has to pass is short, so that a busy machine misses no other."""
    brief = {BRIEF.get(case.name.partition(":")[0], "command"): 0.1}
    if mode == "chunking" and "command" in brief:
        brief["final"] = 0.1  # MAIL and RCPT are answered when the whole letter is under way
    return replace(CALM, **brief)


TABLE = [pytest.param(case, mode, id=f"{case.name} | {mode}") for case in CASES for mode in case.modes]


@pytest.mark.parametrize(("case", "mode"), TABLE)
def test_what_the_server_does_decides_what_becomes_of_the_letter(case: Case, mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        case.script(mail)
        outbox = Outbox(letter("a", LARGE if case.large else b"Good day.\r\n"))
        send(outbox, server_for(mail, deadlines=short(case, mode) if case.short else CALM))
        outcome = outbox.outcome("a")
        assert type(outcome) in case.outcomes, outcome
        if isinstance(outcome, Rejected):
            assert outcome.stage is case.stage
        assert [trouble.kind for trouble in outbox.troubles] == ([case.trouble] if case.trouble else [])
        assert_ledger_agrees(outbox, mail)


ONCE = [
    pytest.param(case, mode, id=f"{case.name} | {mode}")
    for case in CASES
    if not case.short and not case.large and case.trouble is None and case.outcomes != (Accepted,)
    for mode in case.modes
]


@pytest.mark.parametrize(("case", "mode"), ONCE)
def test_after_a_refusal_the_letters_behind_it_are_sent(case: Case, mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        case.script(mail)
        for rule in mail.rules:
            rule.times = 1
        outbox = send(Outbox(*(letter(name) for name in "abcd")), server_for(mail))
        assert type(outbox.outcome("a")) in case.outcomes
        # Where the server hung up, letters behind may have been given back, but none is lost or refused.
        assert {type(outbox.outcome(name)) for name in "bcd"} <= {Accepted, NotSent, Ambiguous}
        if "and drop" not in case.name and "421" not in case.name:
            assert outbox.kinds()[1:] == [Accepted, Accepted, Accepted]
        assert_ledger_agrees(outbox, mail)


def test_a_server_that_is_not_there_is_host_trouble() -> None:
    with MailServer() as mail:
        mail.refuse()
        outbox = send(Outbox(letter("a"), letter("b")), server_for(mail))
        assert outbox.kinds() == [NotSent]
        assert [trouble.kind for trouble in outbox.troubles] == [HOST]
        assert "refused" in outbox.troubles[0].reason


def test_a_name_that_does_not_exist_is_host_trouble() -> None:
    outbox = send(Outbox(letter("a")), Server("no-such-host.invalid", 25, deadlines=CALM))
    assert outbox.kinds() == [NotSent]
    assert [trouble.kind for trouble in outbox.troubles] == [HOST]


def test_a_server_that_hangs_as_a_whole_delays_no_pulse_and_costs_no_letter() -> None:
    with MailServer() as mail:
        mail.pause()
        beats = []
        outbox = Outbox(letter("a"))
        loop = Loop(server_for(mail, deadlines=SHORT))
        loop.run(outbox, pulse=lambda: not beats.append(1), interval=0.02)
        assert outbox.kinds() == [NotSent]
        assert len(beats) >= 8
        mail.resume()
        again = Outbox(letter("b"))
        loop.run(again, pulse=lambda: True)
        assert again.kinds() == [Accepted]
        loop.close()
