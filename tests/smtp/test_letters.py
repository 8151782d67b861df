"""How letters travel: content, envelopes, extensions, and what is refused before a single octet is written."""

import pytest

from mailservice.smtp import Accepted, Ambiguous, Letter, Loop, Outcome, Rejected, Stage
from tests.faults.mail_server import ACCEPT, DROP, HANG, MailServer
from tests.smtp.support import MODES, SHORT, Outbox, assert_ledger_agrees, letter, letters, send, server_for

EVERY_MODE = pytest.mark.parametrize("mode", MODES)

CONTENTS = {
    "plain": b"Subject: x\r\n\r\nhello\r\n",
    "no line end": b"Subject: x\r\n\r\nhello",
    "a dot": b"Subject: x\r\n\r\n.\r\n",
    "dots": b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n...\r\na.\r\n.",
    "a dot at the start": b".Subject: x\r\n\r\nhello\r\n",
    "a line end only": b"\r\n",
    "empty lines": b"\r\n\r\n\r\n\r\n",
    "what looks like commands": b"Subject: x\r\n\r\n.\r\nMAIL FROM:<a@b>\r\nBDAT 3 LAST\r\nQUIT\r\n",
    "8-bit": "Subject: x\r\n\r\nпривет\r\n".encode(),
    "large": b"Subject: x\r\n\r\n" + b".line\r\n" * 300_000,
}


def to_ledger(content: bytes, mode: str) -> bytes:
    """What the server should have: DATA cannot carry a last line without its end."""
    return content if mode == "chunking" or content.endswith(b"\r\n") else content + b"\r\n"


@EVERY_MODE
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_content_arrives_octet_for_octet(content: bytes, mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        given = [Letter(n, "s@example.org", f"r{n}@example.org", content) for n in range(3)]
        outbox = send(Outbox(*given), server_for(mail))
        assert outbox.kinds() == [Accepted] * 3
        assert [taken.content for taken in mail.accepted] == [to_ledger(content, mode)] * 3


@EVERY_MODE
def test_many_letters_arrive_once_each_in_order_with_their_own_envelope(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        outbox = send(Outbox(*letters(300)), server_for(mail))
        assert outbox.kinds() == [Accepted] * 300
        assert [taken.recipient for taken in mail.accepted] == [f"r{n}@example.org" for n in range(300)]
        assert [taken.message_id for taken in mail.accepted] == [f"<r{n}@test>" for n in range(300)]
        assert mail.connections == 1
        assert outbox.begun == [given.recipient for given in outbox.given]
        assert_ledger_agrees(outbox, mail)


@EVERY_MODE
def test_refusals_among_many_letters_hit_the_right_ones(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        for n in range(0, 60, 3):
            mail.on_rcpt(f"r{n}@example.org", "550 5.1.1 no such user")
        for n in range(1, 60, 6):
            mail.on_dot("451 4.3.0 later", f"r{n}@example.org")
        for n in range(2, 60, 6):
            mail.on_rcpt(f"r{n}@example.org", "450 4.2.1 greylisted")
        outbox = send(Outbox(*letters(60)), server_for(mail), connections=3)
        assert_ledger_agrees(outbox, mail)
        assert not outbox.troubles
        for n in range(0, 60, 3):
            outcome = outbox.outcome(f"r{n}")
            assert isinstance(outcome, Rejected)
            assert str(outcome.reply) == "550 5.1.1 no such user"
            assert mail.tries(f"r{n}@example.org") == 1


@EVERY_MODE
def test_the_reply_is_kept_in_the_servers_words(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        mail.on_dot("250 2.0.0 Ok: queued as 4F1C2")
        outcome = send(Outbox(letter("a")), server_for(mail)).outcome("a")
        assert isinstance(outcome, Accepted)
        assert (outcome.reply.code, outcome.reply.enhanced) == (250, "2.0.0")
        assert outcome.reply.text == "Ok: queued as 4F1C2"
        assert str(outcome.reply) == "250 2.0.0 Ok: queued as 4F1C2"


UNFIT = {
    "a@example.org>\r\nDATA": Stage.RCPT,
    "a@example.org\r\nRCPT TO:<b@example.org": Stage.RCPT,
    "a@example.org\n": Stage.RCPT,
    "a\0@example.org": Stage.RCPT,
    "a b@example.org": Stage.RCPT,
    "a@example.org> NOTIFY=NEVER": Stage.RCPT,
    "<a@example.org": Stage.RCPT,
    "a\u2028@example.org": Stage.RCPT,
    "a\x85@example.org": Stage.RCPT,
    "a\ud800@example.org": Stage.RCPT,
    "": Stage.RCPT,
}


@EVERY_MODE
@pytest.mark.parametrize("address", UNFIT)
def test_an_address_that_could_end_its_command_is_never_written(address: str, mode: str) -> None:
    content = b"Subject: x\r\n\r\nx\r\n"
    with MailServer(**MODES[mode]) as mail:
        outbox = Outbox(
            letter("before"),
            Letter(1, "s@example.org", address, content),
            letter("after"),
        )
        send(outbox, server_for(mail))
        assert outbox.outcomes[address] == Rejected(outbox.outcomes[address].reply, Stage.RCPT)  # type: ignore[union-attr]
        assert outbox.outcomes[address].reply.is_local  # type: ignore[union-attr]
        assert [type(outbox.outcome(name)) for name in ("before", "after")] == [Accepted, Accepted]
        assert mail.tries("b@example.org") == 0
        assert len(mail.accepted) == 2


def test_a_sender_that_could_end_its_command_is_never_written() -> None:
    with MailServer() as mail:
        outbox = send(Outbox(Letter(1, "s>\r\nQUIT", "a@example.org", b"\r\n")), server_for(mail))
        outcome = outbox.outcome("a")
        assert isinstance(outcome, Rejected)
        assert outcome.stage is Stage.MAIL
        assert not any("QUIT" in line for line in mail.commands[1][:-1])


@EVERY_MODE
@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n\n", b"a\r\n\r", b"\n.\n", b"a\r\n.\r", b""])
def test_content_with_a_bare_cr_or_lf_is_refused_by_ourselves(content: bytes, mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        outbox = send(Outbox(Letter(1, "s@example.org", "a@example.org", content)), server_for(mail))
        outcome = outbox.outcome("a")
        assert isinstance(outcome, Rejected)
        assert (outcome.stage, outcome.reply.is_local) == (Stage.CONTENT, True)
        assert mail.tries("a@example.org") == 0
        assert not outbox.begun


def only_outcome(mail: MailServer, given: Letter) -> Outcome:
    return next(iter(send(Outbox(given), server_for(mail)).outcomes.values()))


def test_a_letter_larger_than_the_servers_size_is_not_even_tried() -> None:
    with MailServer(size=1000) as mail:
        outcome = only_outcome(mail, letter("a", b"x" * 70 + b"\r\n" * 1000))
        assert isinstance(outcome, Rejected)
        assert (outcome.stage, outcome.reply.code, outcome.reply.is_local) == (Stage.SIZE, 552, True)
        assert mail.tries("a@example.org") == 0


def test_the_size_is_told_where_the_server_asks_for_it() -> None:
    with MailServer(size=10_000) as mail:
        given = letter("a")
        assert isinstance(only_outcome(mail, given), Accepted)
        assert f"MAIL FROM:<sender@example.org> SIZE={len(given.content)}" in mail.commands[1]


def test_8_bit_content_is_announced_where_offered_and_refused_by_ourselves_where_not() -> None:
    given = letter("a", "привет\r\n".encode())
    with MailServer() as mail:
        assert isinstance(only_outcome(mail, given), Accepted)
        assert "MAIL FROM:<sender@example.org> BODY=8BITMIME" in mail.commands[1]
    with MailServer(eight_bit=False) as mail:
        outcome = only_outcome(mail, given)
        assert isinstance(outcome, Rejected)
        assert outcome.reply.is_local


def test_an_address_beyond_ascii_needs_smtputf8() -> None:
    given = Letter(1, "s@example.org", "почта@example.org", b"\r\n")
    with MailServer() as mail:
        assert isinstance(only_outcome(mail, given), Accepted)
        assert "MAIL FROM:<s@example.org> SMTPUTF8" in mail.commands[1]
        assert [taken.recipient for taken in mail.accepted] == ["почта@example.org"]
    with MailServer(utf8=False) as mail:
        outcome = only_outcome(mail, given)
        assert isinstance(outcome, Rejected)
        assert (outcome.stage, outcome.reply.is_local) == (Stage.RCPT, True)


def test_the_null_sender_may_send() -> None:
    with MailServer() as mail:
        assert isinstance(only_outcome(mail, Letter(1, "", "a@example.org", b"\r\n")), Accepted)
        assert mail.accepted[0].sender == ""


def test_many_letters_that_we_refuse_do_not_hold_up_the_pulse() -> None:
    with MailServer() as mail:
        unfit = [Letter(n, "s@example.org", f"r{n}@example.org", b"\n") for n in range(20_000)]
        beats: list[int] = []
        outbox = Outbox(*unfit)
        loop = Loop(server_for(mail))
        loop.run(outbox, pulse=lambda: not beats.append(1), interval=0.001)
        loop.close()
        assert len(outbox.outcomes) == 20_000
        assert len(beats) > 10


def test_a_window_full_of_letters_is_judged_one_by_one_when_the_server_goes_silent() -> None:
    with MailServer() as mail:
        mail.on_dot((ACCEPT, HANG), "r3@example.org")
        outbox = send(Outbox(*letters(20)), server_for(mail, deadlines=SHORT), window=4)
        names = [kind.__name__ for kind in outbox.kinds()]
        assert names[:3] == ["Accepted"] * 3
        assert names[3:] in (["Ambiguous"] * 3, ["Ambiguous"] * 4), "a place in the window may wait for another one"
        assert_ledger_agrees(outbox, mail)


def test_letters_behind_a_421_are_not_sent_once_the_server_has_hung_up() -> None:
    with MailServer() as mail:
        mail.on_mail(("421 4.7.0 enough for today", DROP), after=3)
        outbox = send(Outbox(*letters(8)), server_for(mail), window=8)
        assert [kind.__name__ for kind in outbox.kinds()] == ["Accepted"] * 3 + ["NotSent"] * 5
        assert [trouble.reply.code for trouble in outbox.troubles if trouble.reply] == [421]
        assert_ledger_agrees(outbox, mail)


def test_letters_behind_a_421_that_the_server_takes_after_all_are_accepted() -> None:
    with MailServer() as mail:
        mail.on_mail("421 4.7.0 enough, but not quite", times=1)
        outbox = send(Outbox(*letters(4)), server_for(mail), window=4)
        assert [kind.__name__ for kind in outbox.kinds()] == ["NotSent", "Accepted", "Accepted", "Accepted"]
        assert_ledger_agrees(outbox, mail)


def test_replies_out_of_step_are_noticed_before_a_refused_letter_counts_as_accepted() -> None:
    with MailServer() as mail:
        mail.on_rcpt("r4@example.org", ("250 2.1.5 ok", "250 2.1.5 ok"))
        mail.on_dot("550 5.7.1 spam", "r4@example.org")
        mail.on_dot("550 5.7.1 spam", "r5@example.org")
        outbox = send(Outbox(*letters(6)), server_for(mail), window=6)
        assert not isinstance(outbox.outcome("r4"), Accepted)
        assert not isinstance(outbox.outcome("r5"), Accepted)
        assert outbox.troubles


def test_a_swallowed_answer_makes_no_letter_accepted_by_the_answer_to_the_next_one() -> None:
    with MailServer(**MODES["pipelining"]) as mail:
        mail.on_dot(b"", "r1@example.org")  # it says nothing, has not taken the letter, and goes on
        outbox = send(Outbox(*letters(3)), server_for(mail))
        assert outbox.kinds()[:2] == [Accepted, Ambiguous]
        assert_ledger_agrees(outbox, mail)


def test_rset_refused_between_whole_letters_means_replies_are_out_of_step() -> None:
    with MailServer() as mail:
        mail.on_rset("500 5.5.1 what?", after=2)
        outbox = send(Outbox(*letters(4)), server_for(mail), window=4)
        assert [kind.__name__ for kind in outbox.kinds()] == ["Accepted"] * 2 + ["Ambiguous"] * 2
