"""Sending account letters: Flask-Mail with deadlines, verified TLS, and the mail server's reply.

They have a path of their own, so that a password letter never waits behind a mailing.
"""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import flask_mail
from flask import Flask, current_app
from flask_babel import force_locale

from config import Settings
from mailservice import clock
from mailservice.database import db, read
from mailservice.mail_servers import MailServer
from mailservice.models import Mailing, SignUp, User
from mailservice.queues import Job, enqueue
from mailservice.sending import breaker
from mailservice.services import account_letters, signups
from mailservice.services.account_letters import AccountLetter
from mailservice.smtp.letter import Letter

log = logging.getLogger(__name__)
PATIENCE = 20.0  # seconds for each step, while a person waits for the answer
STEPS = 4  # a whole conversation has this many times the deadline of one step


class NotSent(Exception):
    """The letter was not sent, in the server's or the system's words; `temporary`: trying again may help."""

    def __init__(self, reply: str, *, temporary: bool):
        super().__init__(reply)
        self.temporary = temporary


class Connection(flask_mail.Connection):
    """One conversation with the first of the mail servers that lets us in; every step of it ends."""

    def __init__(self, mail: AccountMail, settings: Settings, servers: Sequence[MailServer]):
        super().__init__(mail)
        self.settings = settings
        self.servers = servers

    def __enter__(self) -> Connection:
        *others, last = self.servers
        for server in others:
            try:
                self.host = self._reach(server)
                return self
            except (OSError, smtplib.SMTPException) as error:
                log.warning("The mail server %s does not take letters of the accounts: %s", server.name, error)
        self.host = self._reach(last)
        return self

    def __exit__(self, *_: object) -> None:
        """A farewell that fails hides nothing that matters."""
        if self.host is not None:
            with suppress(OSError, smtplib.SMTPException):
                self.host.quit()
            self.host.close()

    def _reach(self, server: MailServer) -> smtplib.SMTP:
        s = self.settings
        context = ssl.create_default_context(cafile=s.mail_ca_file or None)
        common: dict[str, Any] = {"local_hostname": s.mail_local_name, "timeout": s.mail_timeout}
        if server.security == "tls":
            host: smtplib.SMTP = smtplib.SMTP_SSL(context=context, **common)
        else:
            host = smtplib.SMTP(**common)
        # What the certificate is checked against; the constructor would take it only by connecting at once.
        host._host = server.host  # type: ignore[attr-defined]
        with _ending(host, s.mail_timeout * STEPS):
            try:
                _open(host, server, context)
            except BaseException:
                host.close()
                raise
        return host

    def send_letter(self, letter: EmailMessage | bytes, *, sender: str, recipient: str) -> str:
        """The server's reply to the whole letter; smtplib's errors otherwise."""
        assert self.host is not None
        host = self.host
        with _ending(host, self.settings.mail_timeout * STEPS):
            host.ehlo_or_helo_if_needed()
            _expect(host.mail(sender))
            _expect(host.rcpt(recipient))
            return _expect(host.data(letter if isinstance(letter, bytes) else letter.as_bytes()))


class AccountMail(flask_mail.Mail):
    """Flask-Mail, told by our settings; it sends in tests too, to a real server."""

    def connect(self, patience: float | None = None) -> Connection:
        """The mail servers that the senders leave out come last. `patience`: seconds for each step, at most."""
        settings: Settings = current_app.config["SETTINGS"]
        if patience is not None:
            settings = replace(settings, mail_timeout=min(patience, settings.mail_timeout))
        servers = settings.servers
        with read() as connection:
            left_out = breaker.waiting(connection, [server.name for server in servers], clock.now())
        return Connection(self, settings, sorted(servers, key=lambda server: server.name in left_out))

    def send_letter(
        self, letter: EmailMessage | bytes, *, sender: str, recipient: str, patience: float | None = None
    ) -> str:
        """The server's reply; NotSent for everything that went wrong."""
        try:
            with self.connect(patience) as connection:
                return connection.send_letter(letter, sender=sender, recipient=recipient)
        except smtplib.SMTPAuthenticationError as error:
            raise NotSent(_describe(error), temporary=True) from error  # a setting, not this letter
        except smtplib.SMTPResponseException as error:
            raise NotSent(_describe(error), temporary=error.smtp_code < 500) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(f"{type(error).__name__}: {error}", temporary=True) from error


mail = AccountMail()


def ring(kind: AccountLetter, user_id: int, about_id: int | None = None) -> None:
    """Call after the commit: a worker sends the letter, or a thread where Redis is away; no page waits.

    `about_id` is the mailing, or the request to sign up with this user, that the letter is about.
    """
    if not enqueue(Job.ACCOUNT_LETTER, kind.value, user_id, 0, about_id):
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        threading.Thread(target=_deliver_here, args=(app, kind, user_id, about_id), daemon=True).start()


def deliver(kind: AccountLetter, user_id: int, about_id: int | None = None) -> str | None:
    """Builds the letter and sends it: the server's reply, None when there is nothing to send; raises NotSent.

    The link's token is made here and lives in the letter only, never in Redis or a log.
    """
    user = db.session.get(User, user_id)
    if user is None:
        return None
    letter = _sign_up_letter(user, about_id) if kind is AccountLetter.SIGN_UP else _own_letter(kind, user, about_id)
    if letter is None:
        return None
    recipient = letter["To"].addresses[0].addr_spec
    db.session.rollback()  # no database connection is held while the mail server talks
    return mail.send_letter(letter, sender=letter["From"].addresses[0].addr_spec, recipient=recipient)


def _own_letter(kind: AccountLetter, user: User, mailing_id: int | None) -> EmailMessage | None:
    mailing = db.session.get(Mailing, mailing_id) if mailing_id else None
    if not account_letters.is_due(kind, user, mailing):
        return None
    with force_locale(user.language):
        return account_letters.build(kind, user=user, mailing=mailing, **_house())


def _sign_up_letter(owner: User, sign_up_id: int | None) -> EmailMessage | None:
    row = db.session.get(SignUp, sign_up_id) if sign_up_id else None
    form = signups.form_of(owner)
    if row is None or form is None or row.owner_id != owner.id or not owner.is_active:
        return None
    with force_locale(form.language):
        return account_letters.build_sign_up(row, form, **_house())


def _house() -> dict[str, str]:
    settings: Settings = current_app.config["SETTINGS"]
    return {
        "sender": settings.mail_sender,
        "public_url": settings.public_url,
        "secret": str(current_app.config["SECRET_KEY"]),
    }


def send_proof(letter: Letter) -> str:
    """A test letter, sent while its writer waits: the server's reply; raises NotSent."""
    db.session.rollback()  # no database connection is held while the mail server talks
    return mail.send_letter(letter.content, sender=letter.sender, recipient=letter.recipient, patience=PATIENCE)


def _deliver_here(app: Flask, kind: AccountLetter, user_id: int, about_id: int | None) -> None:
    with app.app_context():
        try:
            deliver(kind, user_id, about_id)
        except NotSent as error:
            log.error("The letter “%s” for user %d was not sent: %s", kind.value, user_id, error)


@contextmanager
def _ending(host: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """smtplib's deadlines are for one packet each: a server that drips would hold it for ever."""

    def cut() -> None:
        sock = host.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _open(host: smtplib.SMTP, server: MailServer, context: ssl.SSLContext) -> None:
    code, reply = host.connect(server.host, server.port)
    if code != 220:
        raise smtplib.SMTPConnectError(code, reply)
    if server.security == "starttls":
        host.starttls(context=context)
    if server.username:
        _log_in(host, server)


def _log_in(host: smtplib.SMTP, server: MailServer) -> None:
    """AUTH PLAIN, else LOGIN, as mailings do it: smtplib's own login() takes ASCII only."""
    host.ehlo_or_helo_if_needed()
    name, password = server.username.encode(), server.password.encode()
    offered = host.esmtp_features.get("auth", "").upper().split()
    if "PLAIN" in offered:
        token = b64encode(b"\0" + name + b"\0" + password).decode()
        code, reply = host.docmd("AUTH", f"PLAIN {token}")
        words = [token]  # for a server that wants it on a line of its own
    elif "LOGIN" in offered:
        code, reply = host.docmd("AUTH", "LOGIN")
        words = [b64encode(name).decode(), b64encode(password).decode()]
    else:
        raise smtplib.SMTPNotSupportedError("The server offers neither AUTH PLAIN nor AUTH LOGIN.")
    for word in words:
        if code == 334:
            code, reply = host.docmd(word)
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, reply)


def _expect(answer: tuple[int, bytes]) -> str:
    """The reply as text, when it is a consent."""
    code, reply = answer
    if code not in (250, 251):
        raise smtplib.SMTPResponseException(code, reply)
    return f"{code} {_text(reply)}"


def _describe(error: smtplib.SMTPResponseException) -> str:
    return f"{error.smtp_code} {_text(error.smtp_error)}"


def _text(reply: bytes | str) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
