"""The loop: many connections in one thread, stopping, reuse, patience, and not hammering a server that is ill."""

import time

import pytest

from mailservice.smtp import (
    Accepted,
    Ambiguous,
    Deadlines,
    Letter,
    Loop,
    NotSent,
    Outcome,
    Server,
    TroubleKind,
    probe,
)
from tests.faults.mail_server import DROP, HANG, PASS, MailServer, Wait
from tests.smtp.support import (
    CALM,
    MODES,
    SHORT,
    Outbox,
    assert_ledger_agrees,
    letter,
    letters,
    send,
    server_for,
)

EVERY_MODE = pytest.mark.parametrize("mode", MODES)


class Until:
    """A pulse that says no once its condition holds."""

    def __init__(self, condition) -> None:
        self.condition = condition
        self.beats: list[float] = []

    def __call__(self) -> bool:
        self.beats.append(time.monotonic())
        return not self.condition()


@EVERY_MODE
def test_a_pulse_that_says_no_at_once_means_that_nothing_is_asked_for(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        outbox = Outbox(letter("a"))
        Loop(server_for(mail)).run(outbox, pulse=lambda: False)
        assert not outbox.given
        assert mail.connections == 0


def test_nothing_to_send_opens_no_connection() -> None:
    with MailServer() as mail:
        send(Outbox(), server_for(mail))
        assert mail.connections == 0


@EVERY_MODE
def test_after_a_stop_letters_in_flight_are_answered_and_the_rest_is_given_back(mode: str) -> None:
    with MailServer(delay=0.02, **MODES[mode]) as mail:
        outbox = Outbox(*letters(500))
        loop = Loop(server_for(mail), connections=2)
        loop.run(outbox, pulse=Until(lambda: len(outbox.outcomes) >= 4), interval=0.01)
        loop.close()
        assert set(outbox.kinds()) <= {Accepted, NotSent}
        assert not outbox.troubles
        assert outbox.kinds().count(Accepted) >= 4
        assert {n for n, o in outbox.outcomes.items() if isinstance(o, Accepted)} == set(outbox.begun)
        assert_ledger_agrees(outbox, mail)


@EVERY_MODE
def test_a_stop_while_the_server_hangs_at_the_envelope_returns_at_once(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        mail.on_ehlo(HANG)
        outbox = Outbox(letter("a"))
        started = time.monotonic()
        Loop(server_for(mail)).run(outbox, pulse=Until(lambda: mail.commands.get(1)), interval=0.01)
        assert time.monotonic() - started < 2
        assert outbox.kinds() == [NotSent]
        assert not outbox.troubles


@pytest.mark.parametrize("mode", ["lock-step", "pipelining"])
def test_a_stop_at_rcpt_withdraws_the_letter_without_trouble(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        mail.on_rcpt(None, HANG)
        outbox = Outbox(letter("a"), letter("b"))
        Loop(server_for(mail)).run(outbox, pulse=Until(lambda: mail.tries("a@example.org")), interval=0.01)
        assert outbox.outcome("a") == NotSent("withdrawn")
        assert not outbox.troubles
        assert not outbox.begun


@EVERY_MODE
def test_after_a_stop_patience_ends_and_what_was_handed_over_is_ambiguous(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        mail.on_dot(HANG)
        outbox = Outbox(letter("a"))
        started = time.monotonic()
        loop = Loop(server_for(mail))
        loop.run(outbox, pulse=Until(lambda: outbox.begun), interval=0.01, patience=lambda: 0.1)
        assert time.monotonic() - started < 2
        assert outbox.kinds() == [Ambiguous]
        assert not outbox.troubles


def test_a_stop_takes_back_letters_of_which_no_octet_was_written() -> None:
    body = b"A line of a letter that fills the buffers of the sockets.\r\n" * 50_000
    with MailServer() as mail:
        mail.on_content(HANG)
        outbox = Outbox(*letters(8, body))
        loop = Loop(server_for(mail, deadlines=SHORT), window=8)
        loop.run(outbox, pulse=Until(lambda: outbox.begun), interval=0.05)
        assert not mail.accepted
        assert set(outbox.kinds()) <= {NotSent, Ambiguous}
        assert_ledger_agrees(outbox, mail)


@EVERY_MODE
def test_a_letter_that_may_no_longer_begin_is_withdrawn_and_the_others_go(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        outbox = Outbox(*letters(10))
        outbox.withdrawn = {"r3@example.org", "r7@example.org"}
        for _ in range(10):  # what was given back because a connection was dropped is asked for again
            send(outbox, server_for(mail))
            again = [g for g in outbox.given if outbox.outcomes[g.recipient] == NotSent("withdrawn")]
            outbox.given = [g for g in outbox.given if g not in again]
            again = [g for g in again if g.recipient not in outbox.withdrawn]
            for given in again:
                del outbox.outcomes[given.recipient]
            outbox.waiting.extend(again)
            if not outbox.waiting:
                break
        assert not outbox.troubles
        assert sorted(taken.recipient for taken in mail.accepted) == sorted(
            f"r{n}@example.org" for n in range(10) if n not in (3, 7)
        )


def test_a_connection_is_used_again_by_the_next_run() -> None:
    with MailServer() as mail:
        loop = Loop(server_for(mail), connections=4)
        for name in "abc":
            outbox = Outbox(letter(name))
            loop.run(outbox, pulse=lambda: True)
            assert outbox.kinds() == [Accepted]
        assert mail.connections == 1
        loop.close()
        mail.wait_for(lambda: "QUIT" in mail.commands[1])
        loop.close()


@pytest.mark.parametrize("farewell", ["421 4.4.2 idle for too long", ""])
@EVERY_MODE
def test_a_connection_closed_between_runs_is_replaced_without_a_word(farewell: str, mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        mail.on_dot(("250 ok", farewell, DROP) if farewell else ("250 ok", DROP), times=1)
        loop = Loop(server_for(mail))
        loop.run(Outbox(letter("a")), pulse=lambda: True)
        mail.wait_for(lambda: len(mail.accepted) == 1)
        outbox = Outbox(letter("b"))
        mail.drop_connections()
        mail.wait_for(lambda: mail.open_connections == 0)
        loop.run(outbox, pulse=lambda: True)
        assert outbox.kinds() == [Accepted]
        assert not outbox.troubles
        assert mail.connections == 2
        loop.close()


def test_more_connections_are_opened_only_when_they_are_needed() -> None:
    with MailServer(delay=0.01, chunking=False) as mail:
        send(Outbox(letter("a")), server_for(mail), connections=5)
        assert mail.connections == 1
        outbox = send(Outbox(*letters(60)), server_for(mail), connections=5)
        assert mail.connections == 6
        assert outbox.readies == 5
        assert_ledger_agrees(outbox, mail)


def well_loop(mail: MailServer) -> Loop:
    """A loop that has sent a letter and parted from its server."""
    loop = Loop(server_for(mail), connections=5)
    loop.run(Outbox(letter("a")), pulse=lambda: True)
    loop.part()
    mail.wait_for(lambda: mail.open_connections == 0)
    return loop


def test_to_a_server_that_was_well_connections_are_opened_at_once() -> None:
    with MailServer() as mail:
        loop = well_loop(mail)
        mail.on_connect((Wait(1.0), PASS))
        at_ready: list[int] = []
        outbox = Outbox(*letters(50))
        outbox.ready = lambda: at_ready.append(mail.connections)  # type: ignore[method-assign]
        loop.run(outbox, pulse=lambda: True)
        assert at_ready[0] == 6
        assert outbox.kinds() == [Accepted] * 50
        loop.close()


def test_connections_opened_at_once_that_all_fail_are_one_trouble() -> None:
    with MailServer() as mail:
        loop = well_loop(mail)
        mail.on_connect("421 4.3.2 too busy")
        outbox = Outbox(*letters(50))
        loop.run(outbox, pulse=lambda: True)
        assert mail.connections == 6
        assert len(outbox.troubles) == 1
        assert set(outbox.kinds()) == {NotSent}
        loop.close()


def test_of_connections_opened_at_once_some_may_fail() -> None:
    with MailServer() as mail:
        loop = well_loop(mail)
        mail.on_connect("421 4.7.0 too many connections", times=3)
        outbox = Outbox(*letters(50), stubborn=True)
        loop.run(outbox, pulse=lambda: True)
        assert outbox.kinds() == [Accepted] * 50
        loop.close()


def test_ten_connections_share_a_thousand_letters() -> None:
    with MailServer() as mail:
        outbox = send(Outbox(*letters(1000)), server_for(mail), connections=10)
        assert outbox.kinds() == [Accepted] * 1000
        assert_ledger_agrees(outbox, mail)


@EVERY_MODE
def test_a_connection_carries_only_so_many_letters(mode: str) -> None:
    with MailServer(**MODES[mode]) as mail:
        outbox = send(Outbox(*letters(10)), server_for(mail, letters_per_connection=4))
        assert outbox.kinds() == [Accepted] * 10
        assert mail.connections == 3
        assert [sum(line.startswith("MAIL") for line in lines) for lines in mail.commands.values()] == [4, 4, 2]
        assert all(lines[-1] == "QUIT" for lines in mail.commands.values())


def test_a_server_that_fails_is_not_hammered() -> None:
    with MailServer() as mail:
        mail.on_connect("421 4.3.2 too busy")
        outbox = Outbox(*letters(1000), stubborn=True)
        end = time.monotonic() + 2.5
        Loop(server_for(mail), connections=10).run(outbox, pulse=Until(lambda: time.monotonic() > end))
        assert 2 <= mail.connections <= 4
        assert len(outbox.troubles) == mail.connections
        assert set(outbox.kinds()) == {NotSent}


def test_a_server_that_comes_back_is_used_again() -> None:
    with MailServer() as mail:
        mail.on_connect("421 4.3.2 too busy", times=1)
        outbox = Outbox(*letters(5), stubborn=True)
        send(outbox, server_for(mail), connections=3)
        assert outbox.kinds() == [NotSent] + [Accepted] * 4
        assert len(outbox.troubles) == 1


def test_one_connection_that_dies_leaves_the_others_at_work() -> None:
    with MailServer(delay=0.005) as mail:
        mail.on_dot(DROP, "r20@example.org")
        outbox = Outbox(*letters(100), stubborn=True)
        send(outbox, server_for(mail), connections=4, window=2)
        assert isinstance(outbox.outcome("r20"), Ambiguous)
        assert len(outbox.troubles) == 1
        assert outbox.kinds().count(Accepted) >= 98
        assert_ledger_agrees(outbox, mail)


def test_the_pulse_beats_whatever_the_server_does() -> None:
    with MailServer() as mail:
        mail.on_dot(HANG)
        pulse = Until(lambda: False)
        limits = Deadlines(connect=5, greeting=5, command=5, data=5, write=5, final=0.6, quit=0.1)
        Loop(server_for(mail, deadlines=limits)).run(Outbox(letter("a")), pulse=pulse, interval=0.05)
        gaps = [later - earlier for earlier, later in zip(pulse.beats, pulse.beats[1:], strict=False)]
        assert len(gaps) >= 8
        assert sorted(gaps)[len(gaps) // 2] < 0.1


@EVERY_MODE
def test_before_the_dot_the_client_is_impatient_and_patient_after_it(mode: str) -> None:
    limits = Deadlines(connect=5, greeting=5, command=0.3, data=0.3, write=0.3, final=20, quit=0.2)
    with MailServer(**MODES[mode]) as mail:
        mail.on_dot((Wait(0.5), PASS))
        assert send(Outbox(letter("a")), server_for(mail, deadlines=limits)).kinds() == [Accepted]
        mail.on_ehlo((Wait(0.5), PASS))
        assert send(Outbox(letter("b")), server_for(mail, deadlines=limits)).kinds() == [NotSent]


def test_a_source_that_raises_ends_the_run_and_the_connections() -> None:
    class Torn(Outbox):
        def end(self, key: Letter, outcome: object) -> None:
            raise ZeroDivisionError

    with MailServer() as mail:
        loop = Loop(server_for(mail))
        with pytest.raises(ZeroDivisionError):
            loop.run(Torn(letter("a")), pulse=lambda: True)
        mail.wait_for(lambda: mail.open_connections == 0)
        outbox = Outbox(letter("b"))
        loop.run(outbox, pulse=lambda: True)
        assert outbox.kinds() == [Accepted]
        loop.close()


@pytest.mark.parametrize("mode", ["lock-step", "pipelining"])
def test_a_server_that_hangs_up_after_every_letter_gets_them_all_without_trouble(mode: str) -> None:
    class Patient(Outbox):
        def end(self, key: Letter, outcome: Outcome) -> None:
            if isinstance(outcome, NotSent):
                self.waiting.appendleft(key)
            else:
                super().end(key, outcome)

    with MailServer(**MODES[mode]) as mail:
        mail.on_dot((PASS, DROP))
        outbox = send(Patient(*letters(20)), server_for(mail), connections=2)
        assert [type(outcome) for outcome in outbox.outcomes.values()] == [Accepted] * 20
        assert not outbox.troubles
        assert_ledger_agrees(outbox, mail)


def test_close_does_not_wait_for_a_server_that_ignores_quit() -> None:
    with MailServer() as mail:
        mail.on_quit(HANG)
        loop = Loop(server_for(mail, deadlines=SHORT))
        loop.run(Outbox(letter("a")), pulse=lambda: True)
        started = time.monotonic()
        loop.close()
        assert time.monotonic() - started < 1


def test_probe_says_nothing_of_a_server_that_is_well_and_what_ails_one_that_is_not() -> None:
    with MailServer() as mail:
        assert probe(server_for(mail)) is None
        mail.wait_for(lambda: "QUIT" in mail.commands[1])
        mail.on_ehlo("451 4.3.0 not now", times=1)
        trouble = probe(server_for(mail))
        assert trouble is not None
        assert trouble.reply is not None
        assert trouble.reply.code == 451
        mail.on_connect(HANG)
        trouble = probe(server_for(mail, deadlines=SHORT))
        assert trouble is not None
        assert trouble.kind is TroubleKind.HOST
        mail.refuse()
        assert probe(server_for(mail)) is not None


def test_every_address_of_a_name_is_tried() -> None:
    with MailServer() as mail:  # on 127.0.0.1 only; localhost may be ::1 first
        outbox = send(Outbox(letter("a")), server_for(mail, deadlines=CALM))
        assert outbox.kinds() == [Accepted]
        outbox = send(Outbox(letter("b")), Server("localhost", mail.port, deadlines=CALM))
        assert outbox.kinds() == [Accepted]
