"""What the sending engine needs to know of this installation, from the settings."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app

from config import Settings
from mailservice.sending import unsubscribe_token
from mailservice.sending.sender import House
from mailservice.smtp import Deadlines, Security, Server

LONGEST_CONNECT = 10.0  # seconds


def house() -> House:
    settings: Settings = current_app.config["SETTINGS"]
    return House(
        server=server(settings),
        journal_path=settings.journal_path,
        public_url=settings.public_url,
        unsubscribe_key=unsubscribe_token.key(settings.secret_key),
        connections=settings.mail_connections,
        lease=timedelta(seconds=settings.lease_seconds),
    )


def server(s: Settings) -> Server:
    """The mail server of the settings; the local inbox where none is set."""
    quick = s.mail_timeout
    return Server(
        host=s.mail_server or s.inbox_host,
        port=s.mail_port,
        security=Security(s.mail_security),
        username=s.mail_username or None,
        password=s.mail_password or None,
        local_name=s.mail_local_name,
        ca_file=s.mail_ca_file or None,
        deadlines=Deadlines(
            connect=min(quick, LONGEST_CONNECT),
            greeting=quick,
            command=quick,
            data=2 * quick,
            write=2 * quick,
            final=s.mail_final_timeout,
        ),
    )
