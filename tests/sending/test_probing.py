from __future__ import annotations

from flask import Flask

from mailservice.jobs.house import house
from mailservice.sending import probing
from tests.faults.mail_server import MailServer


def test_a_server_that_greets_is_well_and_gets_no_letter(app: Flask, mail_server: MailServer) -> None:
    assert probing.why_not(house().routes[0].server) is None
    assert mail_server.accepted == []


def test_a_refusal_is_told_in_the_servers_words(app: Flask, mail_server: MailServer) -> None:
    mail_server.on_connect("421 4.3.2 closing for lunch")
    assert "closing for lunch" in (probing.why_not(house().routes[0].server) or "")
