"""The demonstration: a full database, true to the ledger's rules, that mails nobody where it must not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select

from mailservice import clock
from mailservice.cli import seed
from mailservice.database import db, read, write
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Client,
    Delivery,
    Mailing,
    MailingStatus,
    Message,
    Periodicity,
    Post,
    Reason,
    Result,
    Role,
    State,
    Suppression,
    SuppressionReason,
    User,
)
from mailservice.sending import letters
from mailservice.services import accounts, addresses, counting, invariants, planning, reports, schedule
from mailservice.services.demo import texts
from mailservice.services.reports import Which
from tests import engine, factories
from tests.faults.mail_server import MailServer


@pytest.fixture
def run(app: Flask):
    """Types `flask seed` with these arguments."""
    return lambda *args: app.test_cli_runner().invoke(args=["seed", *args])


@pytest.fixture
def to_the_inbox(app: Flask) -> Flask:
    """The app as it is where no MAIL_SERVER is set."""
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], mail_server="")
    return app


def all_of(model):
    return db.session.scalars(select(model)).all()


def test_every_demo_sign_in_opens_the_door_and_has_its_role(run) -> None:
    assert run().exit_code == 0
    for role, email, password in seed.SIGN_INS:
        proof = accounts.authenticate(email=email, password=password)
        assert db.session.get_one(User, proof.user_id).role is Role(role)
        assert accounts.check_registration(email=email, full_name="", password=password)
    assert len(all_of(User)) == len(seed.SIGN_INS)


def test_both_users_own_clients_messages_and_mailings_of_every_kind(to_the_inbox: Flask, run) -> None:
    run()
    assert len(all_of(Client)) >= 200
    users = {user.id for user in all_of(User) if user.role is Role.USER}
    for model in (Client, Message, Mailing, Attempt, Suppression):
        assert {row.owner_id for row in all_of(model)} == users
    mailings = all_of(Mailing)
    assert {m.periodicity for m in mailings} == set(Periodicity)
    assert {m.status for m in mailings} == set(MailingStatus)
    assert any(m.paused_at for m in mailings)
    assert any(m.disabled_at and m.disabled_reason and m.disabled_by_id for m in mailings)


def test_the_past_obeys_the_rules_of_the_ledger(run) -> None:
    run()
    with write() as connection:
        connection.exec_driver_sql("ANALYZE")  # PostgreSQL takes new tables for empty ones, and is slow with them
    with read() as connection:
        assert invariants.broken(connection) == {}


def test_the_numbers_of_every_attempt_open_lists_of_that_length(run) -> None:
    run()
    attempts = all_of(Attempt)
    for attempt in [a for a in attempts if not a.succeeded]:
        counts = counting.counts_of([attempt])[attempt.id]
        for state, number in counts.items():
            assert len(reports.deliveries(attempt, Which(state=state), size=500).lines) == number
    total = {state.value: number for state, number in db.session.execute(states()).all()}
    assert total == {s: n for s, n in sums(attempts).items() if n}


def states():
    query = select(Result.state, func.count()).where(Result.state != State.DEFERRED)
    return query.group_by(Result.state)


def sums(attempts: list[Attempt]) -> Counter[str]:
    found: Counter[str] = Counter()
    for attempt in attempts:
        found.update(dict(counting.counts_of([attempt])[attempt.id].items()))
    return found


def test_the_past_has_every_ending_and_the_servers_words(run) -> None:
    run()
    attempts = all_of(Attempt)
    closed = {AttemptStatus.DONE, AttemptStatus.CANCELLED, AttemptStatus.FAILED, AttemptStatus.SKIPPED}
    assert {a.status for a in attempts} == closed
    assert {Reason.MISSED, Reason.DISABLED} <= {a.reason for a in attempts}
    assert {r.state for r in all_of(Result)} == set(State)
    assert {250, 451, 550, 552, 554} <= {r.code for r in all_of(Result)}
    assert all(a.server_reply for a in attempts if a.audience)


def test_nothing_of_the_past_lies_ahead_and_no_attempt_is_open(run) -> None:
    run()
    now = clock.now()
    assert max(r.tried_at for r in all_of(Result)) < now
    assert all(a.finished_at < now and a.due_at <= a.finished_at for a in all_of(Attempt))
    assert not [a for a in all_of(Attempt) if a.is_open]


def test_a_refused_address_is_suppressed_and_gets_nothing_more(run) -> None:
    run()
    gone = {s.email_normalised: s for s in all_of(Suppression) if s.reason is SuppressionReason.HARD_BOUNCE}
    assert gone
    tries = select(Delivery.email_normalised, Result).join(Result, Result.delivery_id == Delivery.id)
    bounced = set()
    for email, result in db.session.execute(tries.order_by(Result.tried_at)):
        if result.enhanced == "5.1.1":
            assert gone[email].created_at == result.tried_at
            bounced.add(email)
        elif email in bounced:
            assert (result.state, result.reason) == (State.SKIPPED, Reason.SUPPRESSED) or (
                result.state is State.CANCELLED
            )
    assert bounced == set(gone)


@pytest.mark.parametrize("hour", [0, 7, 14])
def test_the_next_firing_follows_the_schedule_at_any_hour_and_only_one_is_due(
    to_the_inbox: Flask, run, hour: int
) -> None:
    with time_machine.travel(datetime(2026, 3, 29, hour, 7, tzinfo=UTC), tick=True):
        run()
        now = clock.now()
        for mailing in all_of(Mailing):
            made = db.session.scalars(select(Attempt).where(Attempt.mailing_id == mailing.id)).all()
            assert sorted(a.occurrence for a in made) == list(range(len(made)))
            plan = schedule.of(mailing)
            assert [a.due_at for a in sorted(made, key=lambda a: a.due_at)] == [plan.at(n) for n in range(len(made))]
            if mailing.next_at is None:
                assert mailing.status is MailingStatus.FINISHED
            else:
                assert mailing.next_occurrence == len(made)
                is_due = mailing.next_at <= now and not mailing.paused_at
                assert mailing.next_at == plan.at(len(made)) or (is_due and plan.at(0) < mailing.next_at)
        assert len(planning.due(now)) == 1
        assert len(planning.due(now + timedelta(hours=1))) == 1


def test_one_demo_mailing_reaches_the_local_inbox_by_itself(to_the_inbox: Flask, run, mail_server: MailServer) -> None:
    run()
    (mailing_id,) = planning.due(clock.now())
    engine.run_senders()
    mailing = db.session.get_one(Mailing, mailing_id)
    attempt = engine.attempt_of(mailing)
    assert (attempt.status, attempt.succeeded, attempt.sent) == (AttemptStatus.DONE, True, 40)
    assert mailing.status is MailingStatus.FINISHED
    assert mailing.owner.email == "anna@example.org"
    assert len(mail_server.accepted) == 40


def test_with_a_real_mail_server_nothing_is_ever_due_by_itself(run) -> None:
    result = run()
    assert "nothing is sent by itself" in result.output
    assert planning.due(clock.now() + timedelta(days=3650)) == []


def test_demo_mailings_are_paused_once_when_a_real_mail_server_takes_over(to_the_inbox: Flask, run) -> None:
    run()
    settings = to_the_inbox.config["SETTINGS"]
    to_the_inbox.config["SETTINGS"] = replace(settings, mail_server="mail.shop.example")
    assert "paused" in run("--if-empty").output
    assert planning.due(clock.now() + timedelta(days=3650)) == []
    resumed = next(m for m in all_of(Mailing) if m.next_at and not m.disabled_at)
    engine.change(resumed, paused_at=None)
    assert run("--if-empty").output == ""
    assert resumed.paused_at is None


def test_a_database_with_users_is_refused_or_quietly_left_alone(app: Flask, run) -> None:
    factories.user()
    result = run()
    assert result.exit_code == 1
    assert "not empty" in result.output
    quiet = run("--if-empty")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert len(all_of(User)) == 1


def test_production_refuses_demo_users(app: Flask, run) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], environment="production")
    result = run("--if-empty")
    assert result.exit_code == 1
    assert "production" in result.output
    assert all_of(User) == []


def test_posts_are_out_drafted_and_yet_to_come(run) -> None:
    run()
    now, posts = clock.now(), all_of(Post)
    assert 8 <= len(posts) <= 10
    assert sum(p.published_at is None for p in posts) == 1
    assert sum(p.published_at is not None and p.published_at > now for p in posts) == 1


@pytest.mark.parametrize("owner", ["anna", "john"])
def test_every_demo_message_can_become_a_letter(app: Flask, owner: str) -> None:
    for text in texts.messages(owner):
        assert letters.check(text.title, text.body) == [], text.name


def test_no_two_demo_clients_share_an_address_and_all_are_reserved_ones(run) -> None:
    run()
    emails = [c.email for c in all_of(Client)]
    assert len(set(emails)) == len(emails)
    for email in emails:
        assert addresses.parse(email).normalised == email
        assert email.rpartition("@")[2] in ("example.org", "example.com", "example.net")
