"""`flask send-mailings`: the same work in the foreground, and what it says about it."""

from __future__ import annotations

import errno
import os
import pty
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from config import ROOT
from mailservice.cli import send_mailings
from mailservice.jobs import drains
from mailservice.models import Suppression
from mailservice.sending import journal
from tests import factories, invariants
from tests.engine import attempt_of, due_mailing, states_of
from tests.servers import wait_until

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def owner():
    return factories.user()


def run(app, *arguments):
    return app.test_cli_runner().invoke(args=["send-mailings", *arguments])


def test_it_plans_sends_and_sums_up(app, owner, mail_server):
    mailing = due_mailing(owner, ["a@example.org", "b@example.org"])
    done = run(app)
    assert done.exit_code == 0, done.output
    assert len(mail_server.accepted) == 2
    assert f"Attempt {attempt_of(mailing).id} “Weekly digest”: done; 2 sent, 0 failed" in done.output
    assert "1 attempts, 2 letters sent." in done.output
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


def test_it_exits_with_1_when_an_attempt_failed(app, owner, mail_server):
    mail_server.on_rcpt("gone@example.org", "550 5.1.1 no such user")
    due_mailing(owner, ["gone@example.org", "here@example.org"])
    done = run(app)
    assert done.exit_code == 1
    assert "1 sent, 1 failed" in done.output
    assert "550 5.1.1 no such user" in done.output


def test_a_client_on_the_stop_list_is_no_failure(app, owner, mail_server):
    due_mailing(owner, ["left@example.org", "here@example.org"])
    with factories.transaction() as session:
        session.add(Suppression(owner_id=owner.id, email_normalised="left@example.org", reason="unsubscribed"))
    done = run(app)
    assert done.exit_code == 0, done.output
    assert "1 sent, 0 failed, 0 unknown, 1 skipped" in done.output


def test_a_dry_run_shows_what_is_due_and_changes_nothing(app, owner, mail_server):
    mailing = due_mailing(owner, ["a@example.org"])
    done = run(app, "--dry-run")
    assert done.exit_code == 0
    assert f"Mailing {mailing.id} “Weekly digest”" in done.output
    assert "1 clients" in done.output
    assert mail_server.connections == 0


def test_only_the_mailing_that_is_asked_for_is_sent(app, owner, mail_server):
    due_mailing(owner, ["a@example.org"])
    wanted = due_mailing(owner, ["b@example.org"])
    assert run(app, "--mailing", str(wanted.id)).exit_code == 0
    assert [letter.recipient for letter in mail_server.accepted] == ["b@example.org"]


def test_a_mailing_that_does_not_exist_is_named(app):
    done = run(app, "--mailing", "99")
    assert done.exit_code == 1
    assert "There is no mailing 99." in done.output


def test_it_says_nothing_to_cron_when_there_is_nothing_to_do(app, mail_server):
    done = run(app)
    assert (done.exit_code, done.output) == (0, "")


def test_a_server_that_is_away_is_no_failure_and_is_told(app, owner, mail_server):
    mail_server.refuse()
    due_mailing(owner, ["a@example.org"])
    done = run(app)
    assert done.exit_code == 0
    assert "The mail server is away: " in done.output
    assert "1 wait" in done.output


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("trouble", ["limit", "disk"])
def test_what_cannot_be_sent_now_is_left_to_the_next_run(app, owner, mail_server, monkeypatch, trouble):
    """Its batches are free all the while: a limit of the mail server is reached, or no journal can be written."""
    if trouble == "limit":
        app.config["SETTINGS"] = replace(app.config["SETTINGS"], mail_per_hour=20)
    else:
        monkeypatch.setattr(journal, "_make_room", full)
    mailing = due_mailing(owner, [f"client-{n}@example.org" for n in range(1600)])
    stopped = threading.Event()
    too_long = threading.Timer(60, stopped.set)
    too_long.start()
    assert send_mailings._send(None, stopped) is False
    too_long.cancel()
    assert not stopped.is_set()
    sent = [state for state in states_of(mailing).values() if state == "sent"]
    assert len(sent) == len(mail_server.accepted) == (20 if trouble == "limit" else 0)
    drains.let_go()  # this sender knows the limit


def environment(settings):
    names = ("instance_path", "secret_key", "database_url", "redis_url", "mail_server", "mail_port", "mail_sender")
    return os.environ | {name.upper(): str(getattr(settings, name)) for name in names} | {"MAIL_SECURITY": "none"}


def test_on_a_terminal_it_shows_a_bar(app, settings, owner, mail_server):
    due_mailing(owner, [f"client{n}@example.org" for n in range(20)])
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "send-mailings"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(settings), stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    assert process.wait(60) == 0
    shown = os.read(controller, 100_000).decode()
    os.close(controller)
    assert "100%" in shown
    assert len(mail_server.accepted) == 20


def test_watching_goes_on_until_it_is_interrupted(app, settings, owner, mail_server):
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "send-mailings", "--watch"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(settings))
    try:
        for address in ("first@example.org", "second@example.org"):
            due_mailing(owner, [address])
            wait_until(lambda: mail_server.letters_to(address), seconds=40, what=address)  # noqa: B023
            wait_until(lambda: mail_server.open_connections == 0, what="QUIT while it watches")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
