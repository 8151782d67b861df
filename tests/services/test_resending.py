from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import NotFound, Refused
from mailservice.models import (
    AttemptStatus,
    Client,
    Delivery,
    Event,
    MailingStatus,
    State,
    Suppression,
    SuppressionReason,
    User,
)
from mailservice.services import resending
from mailservice.services.audit import Action
from mailservice.services.counting import counts_of
from tests import factories, invariants
from tests.engine import attempt_of, change, due_mailing, results_of, run_senders, states_of
from tests.faults.mail_server import ACCEPT, DROP

REFUSED = ["a@example.org", "b@example.org"]
SPAM = "550 5.7.1 looks like spam"


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def mailing(owner, mail_server):
    """Sent to four, two of whom the server refused."""
    for email in REFUSED:
        mail_server.on_rcpt(email, SPAM)
    made = due_mailing(owner, [*REFUSED, "c@example.org", "d@example.org"])
    run_senders()
    mail_server.forget()
    return made


def again(owner, attempt, state=State.FAILED, **values):
    offered = resending.offer(attempt, state)
    values = {"number": offered.number, "seen": offered.seen} | values
    with transaction():
        return resending.send_again(owner, attempt.id, state=state, **values)


def check(mail_server):
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


def message_ids(mail_server, email):
    return [letter.message_id for letter in mail_server.letters_to(email)]


def test_the_refused_get_the_same_letter_in_the_next_round_and_nobody_else_gets_one(owner, mailing, mail_server):
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.failed, attempt.succeeded) == (AttemptStatus.DONE, 2, False)
    assert again(owner, attempt) == 2
    counts = counts_of([attempt_of(mailing)])[attempt.id]
    assert (counts.waiting, counts.sent, counts.failed) == (2, 2, 0)
    run_senders()
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.sent, attempt.failed, attempt.succeeded) == (AttemptStatus.DONE, 4, 0, True)
    assert attempt.server_reply.startswith("2")
    assert [len(message_ids(mail_server, e)) for e in (*REFUSED, "c@example.org")] == [1, 1, 1]
    assert [r.round for r in results_of(mailing)[REFUSED[0]]] == [1, 2]
    check(mail_server)


def test_it_keeps_the_message_id_and_the_words_of_the_attempt(owner, mail_server):
    mail_server.on_dot((ACCEPT, DROP), times=1)
    mailing = due_mailing(owner, ["lost@example.org"])
    run_senders()
    assert states_of(mailing) == {"lost@example.org": "unknown"}
    change(mailing.message, subject="Another subject")
    assert again(owner, attempt_of(mailing), State.UNKNOWN) == 1
    run_senders()
    first, second = mail_server.letters_to("lost@example.org")
    assert first.message_id == second.message_id
    assert b"Subject: News of the week" in second.content
    assert attempt_of(mailing).succeeded


def test_who_fails_again_may_be_sent_to_once_more(owner, mailing, mail_server):
    mail_server.on_rcpt(REFUSED[0], SPAM)
    again(owner, attempt_of(mailing))
    run_senders()
    attempt = attempt_of(mailing)
    assert (attempt.sent, attempt.failed, attempt.succeeded) == (3, 1, False)
    mail_server.forget()
    assert again(owner, attempt) == 1
    run_senders()
    assert {d.email: d.round for d in db.session.scalars(select(Delivery))} == {
        **dict(zip(REFUSED, (3, 2), strict=True)),
        "c@example.org": 1,
        "d@example.org": 1,
    }
    check(mail_server)


def test_who_is_on_the_stop_list_or_gone_is_left_out(owner, mailing, mail_server):
    theirs = factories.user().id
    with transaction() as session:
        reason = SuppressionReason.UNSUBSCRIBED
        session.add(Suppression(owner_id=owner.id, email_normalised=REFUSED[0], reason=reason))
        # Somebody else's stop list is nobody's business here.
        session.add(Suppression(owner_id=theirs, email_normalised=REFUSED[1], reason=reason))
    attempt = attempt_of(mailing)
    offered = resending.offer(attempt, State.FAILED)
    assert (offered.number, offered.left_out) == (1, 1)
    with transaction() as session:
        session.delete(session.scalars(select(Client).where(Client.email == REFUSED[1])).one())
    assert resending.offer(attempt_of(mailing), State.FAILED).number == 0
    with pytest.raises(Refused, match="nobody"):
        again(owner, attempt_of(mailing))
    assert attempt_of(mailing).status is AttemptStatus.DONE
    run_senders()
    assert mail_server.letters_to(REFUSED[0]) == []
    check(mail_server)


def test_who_unsubscribes_while_it_waits_is_skipped(owner, mailing, mail_server):
    again(owner, attempt_of(mailing))
    with transaction() as session:
        reason = SuppressionReason.UNSUBSCRIBED
        session.add(Suppression(owner_id=owner.id, email_normalised=REFUSED[0], reason=reason))
    run_senders()
    assert states_of(mailing)[REFUSED[0]] == "skipped"
    assert states_of(mailing)[REFUSED[1]] == "sent"
    check(mail_server)


def test_two_who_ask_at_once_open_one_round(app, owner, mailing, mail_server):
    attempt = attempt_of(mailing)
    offered = resending.offer(attempt, State.FAILED)
    owner_id, attempt_id = owner.id, attempt.id
    db.session.rollback()
    answers = []
    barrier = threading.Barrier(2)

    def ask():
        with app.app_context():
            barrier.wait()
            try:
                with transaction() as session:
                    asker = session.get_one(User, owner_id)
                    asked = {"state": State.FAILED, "number": offered.number, "seen": offered.seen}
                    answers.append(resending.send_again(asker, attempt_id, **asked))
            except Refused as error:
                answers.append(error.message)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 in answers
    assert len([a for a in answers if isinstance(a, str)]) == 1
    run_senders()
    assert {d.round for d in db.session.scalars(select(Delivery))} == {1, 2}
    check(mail_server)


def test_a_second_click_that_comes_when_all_is_through_opens_nothing(owner, mailing, mail_server):
    for email in REFUSED:
        mail_server.on_rcpt(email, SPAM)
    offered = resending.offer(attempt_of(mailing), State.FAILED)
    again(owner, attempt_of(mailing))
    run_senders()
    with pytest.raises(Refused, match="meanwhile"):
        again(owner, attempt_of(mailing), seen=offered.seen)
    assert {len(results) for email, results in results_of(mailing).items() if email in REFUSED} == {2}


def test_another_number_than_the_one_that_was_shown_sends_nothing(owner, mailing, mail_server):
    with pytest.raises(Refused, match="number"):
        again(owner, attempt_of(mailing), number=3)
    assert attempt_of(mailing).status is AttemptStatus.DONE
    check(mail_server)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("open", "being sent"),
        ("disabled", "manager"),
        ("blocked", "blocked"),
        ("unconfirmed", "Confirm"),
        ("end", "end"),
    ],
)
def test_what_stops_a_mailing_stops_sending_again(owner, mailing, mail_server, what, why):
    now = clock.now()
    match what:
        case "open":
            again(owner, attempt_of(mailing))
        case "disabled":
            change(mailing, disabled_at=now)
        case "blocked":
            change(owner, blocked_at=now)
        case "unconfirmed":
            change(owner, confirmed_at=None)
        case "end":
            past = now.replace(tzinfo=None) - timedelta(hours=1)
            change(mailing, start_local=past - timedelta(days=1), end_local=past)
    with pytest.raises(Refused, match=why):
        resending.offer(attempt_of(mailing), State.FAILED)
    with pytest.raises(Refused, match=why), transaction():
        resending.send_again(owner, attempt_of(mailing).id, state=State.FAILED, number=2, seen="")


def test_a_mailing_that_was_finished_runs_until_the_round_is_through(owner, mailing, mail_server):
    change(mailing, next_at=None, next_occurrence=None, status=MailingStatus.FINISHED)
    again(owner, attempt_of(mailing))
    db.session.refresh(mailing)
    assert mailing.status is MailingStatus.RUNNING
    run_senders()
    db.session.refresh(mailing)
    assert mailing.status is MailingStatus.FINISHED
    check(mail_server)


def test_an_attempt_that_was_stopped_is_open_again_without_its_reason(owner, mailing, mail_server):
    change(mailing, paused_at=clock.now())
    again(owner, attempt_of(mailing))
    run_senders()
    assert attempt_of(mailing).is_open
    change(mailing, paused_at=None)
    run_senders()
    assert attempt_of(mailing).succeeded
    check(mail_server)


def test_the_log_says_who_sent_again_and_how_much(owner, mailing, mail_server):
    again(owner, attempt_of(mailing), address="192.0.2.7")
    event = db.session.scalars(select(Event).where(Event.action == Action.SENT_AGAIN)).one()
    assert (event.actor_id, event.subject_type, event.address) == (owner.id, "attempt", "192.0.2.7")
    assert event.detail == {"state": "failed", "letters": 2}


def test_nobody_sends_somebody_elses_again(mailing, mail_server):
    stranger = factories.user(role="admin")
    with pytest.raises(NotFound), transaction():
        resending.send_again(stranger, attempt_of(mailing).id, state=State.FAILED, number=2, seen="")
