"""From a due mailing to results, through a real mail server: what each kind of answer leads to."""

import errno

import pytest
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.jobs import ticks
from mailservice.models import (
    AttemptStatus,
    Breaker,
    Client,
    Delivery,
    MailingStatus,
    Reason,
    Suppression,
    SuppressionReason,
)
from tests import factories, invariants
from tests.engine import attempt_of, change, due_mailing, results_of, run_senders, states_of
from tests.faults.mail_server import ACCEPT, DROP, Wait

pytestmark = pytest.mark.usefixtures("app")

CONNECTIONS = 10
IN_FLIGHT = 8 * CONNECTIONS


@pytest.fixture
def owner():
    return factories.user()


@pytest.fixture(autouse=True)
def invariants_hold(app, mail_server):
    yield
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


def addresses(count):
    return [f"client-{n}@example.org" for n in range(count)]


def test_a_due_mailing_reaches_every_client_and_keeps_the_servers_words(owner, mail_server):
    mailing = due_mailing(owner, addresses(3))
    run_senders()
    assert sorted(letter.recipient for letter in mail_server.accepted) == addresses(3)
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.succeeded, attempt.audience, attempt.sent) == (AttemptStatus.DONE, True, 3, 3)
    assert attempt.server_reply.startswith("250 ")
    assert attempt.last_tried_at is not None
    for results in results_of(mailing).values():
        assert results[0].code == 250
        assert results[0].reply.startswith("250 ")


def test_more_than_one_batch_is_sent_whole(owner, mail_server):
    mailing = due_mailing(owner, addresses(1203))
    run_senders()
    assert attempt_of(mailing).sent == 1203
    assert len(mail_server.accepted) == 1203


def test_an_address_the_server_rejects_is_not_tried_again_and_is_suppressed(owner, mail_server):
    mail_server.on_rcpt("gone@example.org", "550 5.1.1 no such user")
    mailing = due_mailing(owner, ["gone@example.org", "here@example.org"])
    run_senders(times=3)
    assert mail_server.tries("gone@example.org") == 1
    assert states_of(mailing) == {"gone@example.org": "failed", "here@example.org": "sent"}
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.succeeded, attempt.failed) == (AttemptStatus.DONE, False, 1)
    assert attempt.server_reply == "550 5.1.1 no such user"
    suppression = db.session.scalars(select(Suppression)).one()
    assert (suppression.email_normalised, suppression.reason) == ("gone@example.org", SuppressionReason.HARD_BOUNCE)


def test_a_refusal_that_is_not_about_the_address_suppresses_nobody(owner, mail_server):
    mail_server.on_rcpt("full@example.org", "552 5.2.2 mailbox full")
    mailing = due_mailing(owner, ["full@example.org"])
    run_senders()
    assert states_of(mailing) == {"full@example.org": "failed"}
    assert db.session.scalar(select(func.count(Suppression.id))) == 0


def test_a_suppressed_client_is_left_out_and_the_report_says_so(owner, mail_server):
    mailing = due_mailing(owner, ["left@example.org", "here@example.org"])
    with factories.transaction() as session:
        session.add(
            Suppression(owner_id=owner.id, email_normalised="left@example.org", reason=SuppressionReason.UNSUBSCRIBED)
        )
    run_senders()
    assert [letter.recipient for letter in mail_server.accepted] == ["here@example.org"]
    assert results_of(mailing)["left@example.org"][0].reason is Reason.SUPPRESSED


def test_a_client_deleted_after_the_attempt_was_prepared_gets_no_letter(owner, mail_server):
    mailing = due_mailing(owner, ["gone@example.org"])
    ticks.tick()
    with factories.transaction() as session:
        session.execute(Client.__table__.delete())
    run_senders()
    assert mail_server.accepted == []
    assert results_of(mailing)["gone@example.org"][0].reason is Reason.CLIENT_DELETED


def test_a_letter_that_cannot_be_built_fails_and_its_neighbours_go(owner, mail_server):
    mailing = due_mailing(owner, [*addresses(3), "an address that is none", "after@example.org"])
    run_senders()
    assert sorted(letter.recipient for letter in mail_server.accepted) == ["after@example.org", *addresses(3)]
    assert results_of(mailing)["an address that is none"][0].reason is Reason.BAD_MESSAGE
    assert (attempt_of(mailing).sent, attempt_of(mailing).failed) == (4, 1)


def test_a_deferred_letter_is_tried_again_when_its_time_comes_with_the_same_message_id(
    owner, mail_server, time_machine
):
    mail_server.on_rcpt("later@example.org", "451 4.7.1 greylisted, come back", times=1)
    mailing = due_mailing(owner, ["later@example.org"])
    run_senders(times=2)
    assert mail_server.tries("later@example.org") == 1
    deferred = results_of(mailing)["later@example.org"][0]
    assert deferred.state.value == "deferred"
    time_machine.move_to(deferred.not_before)
    run_senders()
    assert states_of(mailing) == {"later@example.org": "sent"}
    assert attempt_of(mailing).status is AttemptStatus.DONE


def test_a_delay_that_the_reply_names_is_honoured(owner, mail_server):
    mail_server.on_rcpt("later@example.org", "450 4.2.1 try again in 3600 seconds")
    mailing = due_mailing(owner, ["later@example.org"])
    run_senders()
    result = results_of(mailing)["later@example.org"][0]
    assert (result.not_before - result.tried_at).total_seconds() >= 3600


def test_a_letter_deferred_for_a_day_has_failed(owner, mail_server, time_machine):
    mail_server.on_rcpt("never@example.org", "455 4.3.0 not now")  # it does not speak of pace, whose clock is real
    mailing = due_mailing(owner, ["never@example.org"])
    for _ in range(30):
        run_senders()
        last = results_of(mailing)["never@example.org"][-1]
        if last.not_before is None:
            break
        time_machine.move_to(last.not_before)
    assert last.state.value == "failed"
    assert 10 < mail_server.tries("never@example.org") < 20
    assert attempt_of(mailing).status is AttemptStatus.DONE


def test_a_server_that_is_down_fails_nothing_and_the_letters_go_when_it_is_back(owner, mail_server, time_machine):
    mail_server.refuse()
    mailing = due_mailing(owner, addresses(3))
    run_senders(times=6)
    assert set(states_of(mailing).values()) == {"waiting"}
    breaker = db.session.scalars(select(Breaker)).one()
    assert breaker.retry_at is not None
    mail_server.listen()
    time_machine.move_to(breaker.retry_at)
    run_senders()
    assert set(states_of(mailing).values()) == {"sent"}
    db.session.expire_all()
    assert db.session.scalars(select(Breaker)).one().retry_at is None


def test_an_answer_lost_after_the_dot_is_unknown_and_never_sent_again_by_itself(owner, mail_server):
    mail_server.on_dot((ACCEPT, DROP), times=1)
    mailing = due_mailing(owner, addresses(1))
    run_senders(times=3)
    assert set(states_of(mailing).values()) == {"unknown"}
    assert len(mail_server.accepted) == 1
    assert attempt_of(mailing).unknown == 1


def test_three_lost_answers_in_a_row_open_the_breaker(owner, mail_server):
    mail_server.on_dot(DROP)
    mailing = due_mailing(owner, addresses(200))
    run_senders()
    states = list(states_of(mailing).values())
    assert 3 <= states.count("unknown") <= 3 + IN_FLIGHT
    assert states.count("failed") == 0
    assert db.session.scalars(select(Breaker)).one().retry_at is not None


def test_a_sender_that_the_server_refuses_stops_the_attempt_before_it_burns_the_audience(owner, mail_server):
    mail_server.on_mail("550 5.7.1 sender refused")
    mailing = due_mailing(owner, addresses(200))
    run_senders(times=2)
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.reason) == (AttemptStatus.FAILED, Reason.SENDER_REFUSED)
    assert attempt.server_reply == "550 5.7.1 sender refused"
    assert attempt.failed <= IN_FLIGHT
    assert attempt.failed + attempt.cancelled == 200


def test_five_policy_refusals_in_a_row_stop_the_attempt(owner, mail_server):
    mail_server.on_dot("554 5.7.1 looks like spam")
    mailing = due_mailing(owner, addresses(200))
    run_senders(times=2)
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.reason) == (AttemptStatus.FAILED, Reason.REFUSED)
    short_rows = 4 * CONNECTIONS  # each connection may answer four times before one answers a fifth time
    assert 5 <= attempt.failed <= short_rows + 1 + IN_FLIGHT
    assert db.session.scalar(select(func.count(Suppression.id))) == 0


def test_refusals_that_are_answered_sooner_than_acceptances_do_not_stop_the_attempt(owner, mail_server):
    """Bad addresses here and there, on many connections: their answers come in a row, the letters did not go so."""
    everybody = addresses(60)
    for email in everybody[::3]:
        mail_server.on_rcpt(email, "552 5.2.2 mailbox full")
    mail_server.on_dot((Wait(0.3), "250 2.0.0 ok"))
    mail_server.chunking = False
    mailing = due_mailing(owner, everybody)
    run_senders(times=2)
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.failed, attempt.sent) == (AttemptStatus.DONE, 20, 40)


def test_a_paused_mailing_sends_nothing_and_goes_on_when_resumed(owner, mail_server):
    mailing = due_mailing(owner, addresses(3))
    ticks.tick()
    change(mailing, paused_at=factories.clock.now())
    run_senders()
    assert mail_server.accepted == []
    assert attempt_of(mailing).is_open
    change(mailing, paused_at=None)
    run_senders()
    assert len(mail_server.accepted) == 3


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("disable", Reason.DISABLED), ("block", Reason.BLOCKED), ("end", Reason.ENDED)],
)
def test_what_stops_an_attempt_cancels_its_rest_and_says_why(owner, mail_server, time_machine, stop, reason):
    end = (factories.clock.now() + factories.timedelta(minutes=5)).replace(tzinfo=None)
    start = end - factories.timedelta(hours=1)
    mailing = due_mailing(owner, addresses(3), start_local=start, end_local=end if stop == "end" else None)
    ticks.tick()
    if stop == "disable":
        change(mailing, disabled_at=factories.clock.now())
    elif stop == "block":
        change(owner, blocked_at=factories.clock.now())
    else:
        time_machine.move_to(factories.clock.now() + factories.timedelta(minutes=6))
    run_senders()
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.reason, attempt.cancelled) == (AttemptStatus.CANCELLED, reason, 3)
    assert mail_server.accepted == []


def test_a_day_without_progress_ends_an_attempt_so_that_an_old_backup_sends_nothing(owner, mail_server, time_machine):
    mailing = due_mailing(owner, addresses(2), periodicity="once")
    ticks.tick()
    time_machine.move_to(factories.clock.now() + factories.timedelta(days=3))
    run_senders()
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.reason) == (AttemptStatus.FAILED, Reason.STALE)
    assert mail_server.accepted == []


def test_a_mailing_without_clients_is_recorded_as_skipped(owner, mail_server):
    mailing = due_mailing(owner, [])
    run_senders()
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.reason) == (AttemptStatus.SKIPPED, Reason.EMPTY)


def test_a_once_mailing_is_finished_when_its_attempt_is(owner, mail_server):
    mailing = due_mailing(owner, addresses(1), periodicity="once")
    run_senders()
    db.session.refresh(mailing)
    assert (mailing.status, mailing.next_at) == (MailingStatus.FINISHED, None)


def test_what_is_sent_is_what_was_written_when_the_attempt_began(owner, mail_server):
    mailing = due_mailing(owner, ["a@example.org"])
    ticks.tick()
    change(mailing.message, subject="Changed later")
    db.session.execute(select(Delivery)).all()
    run_senders()
    assert b"Subject: News of the week" in mail_server.accepted[0].content


def no_space(*_):
    raise OSError(errno.ENOSPC, "no space left on device")


def test_a_full_disk_begins_no_letter_and_loses_none(owner, mail_server, monkeypatch):
    mailing = due_mailing(owner, addresses(3))
    with monkeypatch.context() as patch:
        patch.setattr("mailservice.sending.journal.os.posix_fallocate", no_space)
        run_senders()
    assert mail_server.accepted == []
    run_senders()
    assert set(states_of(mailing).values()) == {"sent"}
