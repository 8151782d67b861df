"""What a mail server may do, case by case (DESIGN §7), and what the ledger says afterwards, on both databases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.models import AttemptStatus, Breaker, Reason, Suppression
from tests import factories, invariants
from tests.engine import attempt_of, due_mailing, run_senders, states_of
from tests.faults.mail_server import ACCEPT, DROP, HANG, RESET, Drip, MailServer, long_reply

ONE = "one@example.org"
SHORT = 0.4  # seconds for each step before the final dot
SHORT_FINAL = 0.6  # and after it


@dataclass(frozen=True)
class Case:
    """`state` of the only letter after one run; `attempt` and `reason` when it is closed; `open`: the breaker."""

    name: str
    script: Callable[[MailServer], object]
    state: str
    attempt: AttemptStatus = AttemptStatus.SENDING
    reason: Reason | None = None
    open: bool = False
    suppressed: bool = False
    modes: tuple[str, ...] = ("lock-step", "pipelining", "chunking")


DONE, FAILED = AttemptStatus.DONE, AttemptStatus.FAILED
DATA_MODES = ("lock-step", "pipelining")
OPENING = ("chunking",)  # before the server has said what it can do, the modes are the same

CASES = [
    Case("all is well", lambda s: None, "sent", DONE),
    # Host trouble: nothing is charged, the breaker opens after five.
    Case("connection refused", lambda s: s.refuse(), "waiting", open=True, modes=OPENING),
    Case("dropped at connect", lambda s: s.on_connect(DROP), "waiting", open=True, modes=OPENING),
    Case("reset at connect", lambda s: s.on_connect(RESET), "waiting", open=True, modes=OPENING),
    Case("silent at connect", lambda s: s.on_connect(HANG), "waiting", open=True, modes=OPENING),
    Case(
        "greeting dripped",
        lambda s: s.on_connect(Drip("220 hello there, dear client", 0.2)),
        "waiting",
        open=True,
        modes=OPENING,
    ),
    Case("greeting 421", lambda s: s.on_connect("421 4.3.2 too busy"), "waiting", open=True, modes=OPENING),
    Case("greeting 554", lambda s: s.on_connect("554 5.7.1 not you"), "waiting", open=True, modes=OPENING),
    Case("greeting garbage", lambda s: s.on_connect(b"\x00\xff\xfe SSH-2.0\r\n"), "waiting", open=True, modes=OPENING),
    Case("greeting endless", lambda s: s.on_connect(long_reply(220)), "waiting", open=True, modes=OPENING),
    Case("EHLO hangs", lambda s: s.on_ehlo(HANG), "waiting", open=True, modes=OPENING),
    Case("EHLO 421", lambda s: s.on_ehlo("421 4.3.2 going down"), "waiting", open=True, modes=OPENING),
    Case("hangs at MAIL", lambda s: s.on_mail(HANG), "waiting", open=True, modes=DATA_MODES),
    Case("drops at RCPT", lambda s: s.on_rcpt(ONE, DROP), "waiting", open=True, modes=DATA_MODES),
    Case("421 at MAIL", lambda s: s.on_mail(("421 4.3.2 closing", DROP)), "waiting", open=True, modes=DATA_MODES),
    Case("drops at DATA", lambda s: s.on_data(DROP), "waiting", open=True, modes=DATA_MODES),
    Case("hangs at DATA", lambda s: s.on_data(HANG), "waiting", open=True, modes=DATA_MODES),
    Case("garbage at RCPT", lambda s: s.on_rcpt(ONE, b"what?\r\n"), "waiting", open=True, modes=DATA_MODES),
    # Refused for now.
    Case("MAIL 451", lambda s: s.on_mail("451 4.3.0 not now"), "deferred"),
    Case("RCPT 450", lambda s: s.on_rcpt(ONE, "450 4.2.1 greylisted"), "deferred"),
    Case("RCPT 452", lambda s: s.on_rcpt(ONE, "452 4.2.2 mailbox full"), "deferred"),
    Case("DATA 451", lambda s: s.on_data("451 4.3.0 not now"), "deferred", modes=DATA_MODES),
    Case("451 after the dot", lambda s: s.on_dot("451 4.3.0 not now"), "deferred"),
    Case("451 after the dot, then gone", lambda s: s.on_dot(("451 4.3.0 not now", DROP)), "deferred"),
    # Refused for good.
    Case("no such user", lambda s: s.on_rcpt(ONE, "550 5.1.1 no such user"), "failed", DONE, suppressed=True),
    Case("bad address", lambda s: s.on_rcpt(ONE, "553 5.1.3 bad syntax"), "failed", DONE, suppressed=True),
    Case("mailbox full", lambda s: s.on_rcpt(ONE, "552 5.2.2 mailbox full"), "failed", DONE),
    Case("550 without a word", lambda s: s.on_rcpt(ONE, "550 no"), "failed", DONE),
    Case("policy at RCPT", lambda s: s.on_rcpt(ONE, "550 5.7.1 blocked"), "failed", DONE),
    Case("5.1.1 but a 4xx code", lambda s: s.on_rcpt(ONE, "450 5.1.1 confused"), "deferred"),
    Case("DATA 554", lambda s: s.on_data("554 5.5.1 no"), "failed", DONE, modes=DATA_MODES),
    Case("spam after the dot", lambda s: s.on_dot("554 5.7.1 spam"), "failed", DONE),
    Case("5.1.1 after the dot", lambda s: s.on_dot("550 5.1.1 late"), "failed", DONE),
    Case("sender refused", lambda s: s.on_mail("550 5.7.1 sender"), "failed", FAILED, Reason.SENDER_REFUSED),
    Case("too big", lambda s: setattr(s, "size", 100), "failed", FAILED, Reason.TOO_BIG),
    # Nobody knows.
    Case("dropped after the dot", lambda s: s.on_dot(DROP), "unknown", DONE),
    Case("taken and dropped", lambda s: s.on_dot((ACCEPT, DROP)), "unknown", DONE),
    Case("reset after the dot", lambda s: s.on_dot(RESET), "unknown", DONE),
    Case("silent after the dot", lambda s: s.on_dot(HANG), "unknown", DONE),
    Case("taken and silent", lambda s: s.on_dot((ACCEPT, HANG)), "unknown", DONE),
    Case("garbage after the dot", lambda s: s.on_dot((ACCEPT, b"%%%\r\n")), "unknown", DONE),
    Case("354 after the dot", lambda s: s.on_dot((ACCEPT, "354 more")), "unknown", DONE),
    Case("dripped after the dot", lambda s: s.on_dot((ACCEPT, Drip("250 2.0.0 well done", 0.2))), "unknown", DONE),
    # Of no consequence.
    Case("QUIT refused", lambda s: s.on("quit", "500 no"), "sent", DONE),
    Case("hangs at QUIT", lambda s: s.on("quit", HANG), "sent", DONE),
    Case("a long reply after the dot", lambda s: s.on_dot("250 2.0.0 " + "x" * 400), "sent", DONE),
]


@pytest.fixture
def quick(app, settings, monkeypatch):
    """The same installation, less patient with a server and with itself."""
    monkeypatch.setattr("mailservice.smtp.loop._REOPENING", 0.02)
    app.config["SETTINGS"] = dataclasses.replace(settings, mail_timeout=SHORT, mail_final_timeout=SHORT_FINAL)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("case", "mode"), [pytest.param(c, m, id=f"{c.name}, {m}") for c in CASES for m in c.modes])
def test_every_answer_ends_in_its_outcome(mail_server, case, mode):
    mail_server.pipelining, mail_server.chunking = mode != "lock-step", mode == "chunking"
    case.script(mail_server)
    mailing = due_mailing(factories.user(), [ONE])
    run_senders()
    attempt = attempt_of(mailing)
    breaker = db.session.scalars(select(Breaker)).one_or_none()
    assert states_of(mailing) == {ONE: case.state}
    assert (attempt.status, attempt.reason) == (case.attempt, case.reason)
    assert (breaker is not None and breaker.retry_at is not None) == case.open
    assert db.session.scalar(select(func.count(Suppression.id))) == int(case.suppressed)
    if case.state in ("failed", "deferred", "sent"):
        assert attempt.server_reply
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("script", [lambda s: s.on_dot((ACCEPT, DROP)), lambda s: s.on_dot((ACCEPT, HANG))])
def test_what_is_unknown_is_never_sent_again_by_itself(mail_server, script):
    script(mail_server)
    due_mailing(factories.user(), [ONE])
    run_senders(times=3)
    assert len(mail_server.accepted) == 1


@pytest.mark.usefixtures("quick")
def test_wrong_credentials_open_the_breaker_at_once_and_fail_nothing(app, mail_server):
    mail_server.auth = {"user": "right"}
    app.config["SETTINGS"] = dataclasses.replace(app.config["SETTINGS"], mail_username="user", mail_password="a secret")
    mailing = due_mailing(factories.user(), [ONE])
    run_senders()
    breaker = db.session.scalars(select(Breaker)).one()
    assert (breaker.kind, breaker.failures) == ("configuration", 1)
    assert breaker.last_reply.startswith("535")
    assert "secret" not in breaker.last_reply
    assert states_of(mailing) == {ONE: "waiting"}


@pytest.mark.usefixtures("quick")
def test_a_server_without_the_starttls_that_is_required_gets_nothing(app, mail_server):
    app.config["SETTINGS"] = dataclasses.replace(app.config["SETTINGS"], mail_security="starttls")
    mailing = due_mailing(factories.user(), [ONE])
    run_senders()
    assert db.session.scalars(select(Breaker)).one().kind == "configuration"
    assert states_of(mailing) == {ONE: "waiting"}
    assert not any(command.startswith("MAIL") for said in mail_server.commands.values() for command in said)
