"""What the sending engine needs to know of this installation, from the settings."""

from __future__ import annotations

from datetime import timedelta

from flask import current_app

from config import Settings
from mailservice import queues
from mailservice.mail_servers import MailServer
from mailservice.sending import unsubscribe_token
from mailservice.sending.links import Route
from mailservice.sending.sender import House
from mailservice.smtp import Deadlines, Security, Server

LONGEST_CONNECT = 10.0  # seconds
REDIS_TIMEOUT = 0.25  # seconds: commits and claims wait behind it


def house() -> House:
    settings: Settings = current_app.config["SETTINGS"]
    return House(
        routes=tuple(_route(server, settings) for server in settings.servers),
        journal_path=settings.journal_path,
        public_url=settings.public_url,
        unsubscribe_key=unsubscribe_token.key(settings.secret_key),
        lease=timedelta(seconds=settings.lease_seconds),
        redis=queues.connection(timeout=REDIS_TIMEOUT),
    )


def _route(m: MailServer, s: Settings) -> Route:
    quick = s.mail_timeout
    server = Server(
        host=m.host,
        port=m.port,
        security=Security(m.security),
        username=m.username or None,
        password=m.password or None,
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
        letters_per_connection=m.letters_per_connection or None,
    )
    return Route(m.name, server, m.weight, m.connections, m.limits)
