"""The benchmarks measure what they say: every letter arrives, and verdicts follow from the figures."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from benchmarks import demands, ground, growth, letter, postfix, sinks
from benchmarks.contenders.bare import Bare
from benchmarks.contenders.engine import Engine
from benchmarks.contenders.one_connection import FlaskMail, Smtplib
from benchmarks.contenders.smtp_source import SmtpSource
from benchmarks.contest import Contender, Measured, Missing, Place, Sink, noting
from benchmarks.databases import Sqlite
from benchmarks.demands import BDAT, DATA, OURS
from benchmarks.figures import Figures

LETTERS = 20


@pytest.fixture
def sink(mail_server) -> Sink:
    return Sink(Place("the tests' server"), mail_server.port)


@pytest.mark.parametrize("contender", [Engine(Sqlite(), 1), Smtplib(), FlaskMail()], ids=lambda c: c.name)
def test_every_letter_of_a_contender_arrives(contender: Contender, mail_server, sink):
    measured = contender.run(LETTERS, sink)

    for number in range(LETTERS):
        assert mail_server.letters_to(ground.email(number))
    assert measured.rate > 0
    assert measured.cpu > 0


@pytest.mark.parametrize("has_chunking", [True, False])
def test_bare_octets_are_letters(mail_server, has_chunking):
    measured = Bare().run(LETTERS, Sink(Place("the tests' server", 5, has_chunking), mail_server.port))

    assert len(mail_server.accepted) >= LETTERS
    assert measured.rate > 0


def test_all_contenders_send_the_same_letter():
    ours, theirs = read(letter.ours()), letter.message(1)

    assert len(letter.ours()) == pytest.approx(len(theirs.as_bytes(policy=policy.SMTP)), rel=0.05)
    assert sorted(ours.keys()) == sorted(theirs.keys())
    page = theirs.get_body(("html",))
    assert page
    assert theirs["List-Unsubscribe"].strip("<>") in page.get_content(), "the personal way out is in both"
    assert text_of(ours) == text_of(theirs)
    assert f"Dear {ground.FIRST_NAMES[1]}," in text_of(ours)


def read(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage) -> str:
    """Without its last line, which has the way out of this service."""
    part = message.get_body(("plain",))
    assert part
    return str(part.get_content()).replace("\r\n", "\n").partition("\n-- \n")[0]


def test_the_cost_of_a_size_is_measured_with_every_outcome_recorded(sink):
    cost = growth.measure(Sqlite(), sink, 30)

    assert cost.clients == 30
    assert all(value > 0 for value in cost._replace(database_cpu=1))


def test_a_demand_is_met_by_the_medians_alone():
    figures = Figures()
    for rate in (10, 130, 9000):
        figures.add(OURS, BDAT, Measured(rate, 30))
    figures.add(SmtpSource.name, DATA, Measured(100, 40))

    found = {demand.text: demand for demand in demands.demands(figures)}

    assert found["letters/s into the C sink, × smtp-source"].is_met
    assert found["CPU of sender and database into the C sink, µs/letter"].is_met
    assert found["letters/s into smtp-sink, × smtp-source"].is_met is None
    figures.add(SmtpSource.name, DATA, Measured(101, 40))
    assert not {d.text: d for d in demands.demands(figures)}["letters/s into the C sink, × smtp-source"].is_met


def test_what_is_missing_says_why_in_its_row(tmp_path):
    figures = Figures()
    with noting(figures.missing, *sinks.C_PLACES):
        sinks.build(None, tmp_path)
    with noting(figures.missing, SmtpSource.name):
        postfix.find(tmp_path, tmp_path)

    shown = figures.tables([Smtplib()], [DATA])

    assert "missing: name its C source" in shown
    assert f"missing: there are no smtp-source and smtp-sink in {tmp_path}" in shown


def test_a_source_that_does_not_compile_is_missing(tmp_path):
    source = tmp_path / "sink.c"
    source.write_text("this is no C")
    with pytest.raises(Missing, match="cc"):
        sinks.build(source, tmp_path)
