import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default

import pytest
from flask_babel import force_locale

from mailservice import account_mail, clock
from mailservice.account_mail import NotSent
from mailservice.database import db, transaction
from mailservice.models import Breaker, User
from mailservice.services.account_letters import AccountLetter
from tests import factories
from tests.faults.mail_server import DROP, HANG, RESET, Drip, MailServer
from tests.servers import wait_until


@pytest.fixture
def user(app):
    return factories.user(email="Anna@example.org", confirmed=False)


def set_up(app, **values):
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **values)


def test_the_letter_arrives_and_the_servers_reply_comes_back(user, mail_server):
    mail_server.on_dot("250 2.0.0 queued as 42")
    assert account_mail.deliver(AccountLetter.CONFIRM, user.id) == "250 2.0.0 queued as 42"
    (taken,) = mail_server.letters_to("Anna@example.org")
    letter = message_from_bytes(taken.content, policy=default)
    assert taken.sender == "mailservice@example.org"
    assert letter["To"] == "Anna@example.org"
    assert letter["From"] == "Mailservice <mailservice@example.org>"
    assert not letter.defects


def test_a_letter_is_in_its_readers_language(app, user, mail_server):
    with force_locale("ru"):
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    (taken,) = mail_server.letters_to("Anna@example.org")
    assert message_from_bytes(taken.content, policy=default)["Subject"] == "Confirm your address"


def test_nothing_is_sent_to_nobody_or_for_what_is_done(user, mail_server):
    assert account_mail.deliver(AccountLetter.RESET, 0) is None
    with transaction():
        db.session.get(User, user.id).confirmed_at = user.created_at
    assert account_mail.deliver(AccountLetter.CONFIRM, user.id) is None
    assert mail_server.accepted == []


@pytest.mark.parametrize(
    ("stage", "reply", "temporary"),
    [
        ("on_connect", "421 busy", True),
        ("on_mail", "451 later", True),
        ("on_mail", "550 sender refused", False),
        ("on_data", "554 no", False),
        ("on_dot", "452 full", True),
        ("on_dot", "554 spam", False),
    ],
)
def test_a_refusal_is_told_in_the_servers_words(user, mail_server, stage, reply, temporary):
    getattr(mail_server, stage)(reply)
    with pytest.raises(NotSent) as refused:
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert refused.value.temporary is temporary
    assert reply in str(refused.value)
    assert mail_server.accepted == []


def test_an_unknown_recipient_is_final_and_gets_no_data(user, mail_server):
    mail_server.on_rcpt("Anna@example.org", "550 5.1.1 no such user")
    with pytest.raises(NotSent) as refused:
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert not refused.value.temporary


def test_a_server_that_is_away_is_a_reason_to_try_again(user):
    with pytest.raises(NotSent) as refused:
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert refused.value.temporary


STAGES = ["on_connect", "on_ehlo", "on_mail", "on_data", "on_dot"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("action", [HANG, DROP, RESET])
def test_a_server_that_falls_silent_is_not_waited_for(app, user, mail_server, stage, action):
    set_up(app, mail_timeout=0.3)
    getattr(mail_server, stage)(action)
    began = time.monotonic()
    with pytest.raises(NotSent) as refused:
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert refused.value.temporary
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("action", [b"\xff\x00garbage\r\n", Drip("250 " + "x" * 200, 0.1)])
def test_a_server_that_talks_nonsense_or_drips_is_not_waited_for(app, user, mail_server, stage, action):
    set_up(app, mail_timeout=0.3)
    getattr(mail_server, stage)(action)
    began = time.monotonic()
    with suppress(NotSent):  # garbage instead of EHLO's reply is forgiven: HELO may do
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert time.monotonic() - began < 4


def test_a_server_that_says_goodbye_badly_has_the_letter_all_the_same(user, mail_server):
    mail_server.on_quit(DROP)
    assert account_mail.deliver(AccountLetter.CONFIRM, user.id).startswith("250")


def test_a_server_without_starttls_gets_nothing_where_it_is_required(app, user, mail_server):
    set_up(app, mail_security="starttls")
    with pytest.raises(NotSent) as refused:
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert refused.value.temporary
    assert mail_server.accepted == []


def test_without_redis_the_letter_goes_all_the_same_and_the_page_does_not_wait(app, user, mail_server):
    app.config["REDIS_URL"] = "unix:///nowhere/redis.sock"
    kept = app.extensions.pop("redis_clients", None)
    mail_server.delay = 0.3
    began = time.monotonic()
    try:
        account_mail.ring(AccountLetter.CONFIRM, user.id)
        assert time.monotonic() - began < 0.3
        wait_until(lambda: mail_server.accepted, what="the letter")
    finally:
        app.extensions["redis_clients"] = kept or {}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that no authority of this machine knows, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_nobody_vouches_for_gets_no_letter_and_no_password(app, user, mail_server, certificate, security):
    setattr(mail_server, security, certificate)
    mail_server.auth = {"shop": "secret"}
    credentials = {"mail_username": "shop", "mail_password": "secret"}
    set_up(app, mail_security=security, mail_timeout=2.0, **credentials)
    with pytest.raises(NotSent):
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert mail_server.accepted == []
    assert not any("AUTH" in line for lines in mail_server.commands.values() for line in lines)
    set_up(app, mail_ca_file=str(certificate[0]))
    account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert len(mail_server.accepted) == 1


def test_a_wrong_password_of_ours_is_a_reason_to_try_again(app, user, mail_server, certificate):
    mail_server.starttls = certificate
    mail_server.auth = {"shop": "secret"}
    set_up(app, mail_security="starttls", mail_ca_file=str(certificate[0]))
    set_up(app, mail_username="shop", mail_password="mistyped")
    with pytest.raises(NotSent) as refused:
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert refused.value.temporary
    assert "mistyped" not in str(refused.value)


@pytest.mark.parametrize("methods", ["PLAIN LOGIN", "LOGIN"])
def test_a_password_need_not_be_ascii(app, user, mail_server, methods):
    mail_server.auth, mail_server.auth_methods = {"магазин": "пароль"}, methods
    set_up(app, mail_username="магазин", mail_password="пароль")
    assert account_mail.deliver(AccountLetter.CONFIRM, user.id).startswith("250")


def test_a_server_that_wants_the_password_on_a_line_of_its_own_gets_it_there(app, user, mail_server):
    mail_server.auth = {"shop": "secret"}
    mail_server.on_auth(("334 ",))
    mail_server.on("unknown", "235 2.7.0 welcome")
    set_up(app, mail_username="shop", mail_password="secret")
    assert account_mail.deliver(AccountLetter.CONFIRM, user.id).startswith("250")


def test_a_server_that_knows_no_names_takes_no_letter_for_one(app, user, mail_server):
    set_up(app, mail_username="shop", mail_password="secret")
    with pytest.raises(NotSent) as refused:
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
    assert refused.value.temporary


def test_with_several_servers_the_first_that_lets_us_in_takes_the_letter(app, user, mail_server):
    with MailServer() as down:
        down.on_connect("421 busy")
        set_up(app, mail_server="", mail_servers=urls(down.port, mail_server.port))
        assert account_mail.deliver(AccountLetter.CONFIRM, user.id).startswith("250 ")
        assert (down.connections, len(mail_server.accepted)) == (1, 1)


def test_one_that_the_senders_leave_out_is_asked_last(app, user, mail_server):
    with MailServer() as left_out:
        set_up(app, mail_server="", mail_servers=urls(left_out.port, mail_server.port))
        with transaction() as session:
            later = clock.now() + timedelta(seconds=30)
            session.add(Breaker(name=f"127.0.0.1:{left_out.port}", failures=5, opens=1, retry_at=later))
        account_mail.deliver(AccountLetter.CONFIRM, user.id)
        assert (left_out.connections, len(mail_server.accepted)) == (0, 1)


def test_a_letter_that_the_first_server_refuses_is_not_taken_to_the_next(app, user, mail_server):
    with MailServer() as strict:
        strict.on_dot("550 5.7.1 no")
        set_up(app, mail_server="", mail_servers=urls(strict.port, mail_server.port))
        with pytest.raises(NotSent, match="550"):
            account_mail.deliver(AccountLetter.CONFIRM, user.id)
        assert mail_server.connections == 0


def urls(*ports):
    return " ".join(f"smtp://127.0.0.1:{port}?security=none" for port in ports)
