"""The fault server itself, where other tests rely on it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from mailservice.smtp import Accepted, NotSent, Server
from tests.faults.mail_server import MailServer
from tests.smtp.support import CALM, Outbox, letter, letters, send, server_for

ROOT = Path(__file__).parents[2]


def test_by_itself_it_keeps_a_ledger_that_survives_being_killed(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    command = [sys.executable, "-m", "tests.faults.mail_server", "--ledger", str(ledger)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            outbox = send(Outbox(*letters(20)), Server("127.0.0.1", port, deadlines=CALM))
            assert outbox.kinds() == [Accepted] * 20
        finally:
            process.send_signal(signal.SIGKILL)
    rows = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [row["recipient"] for row in rows] == [f"r{n}@example.org" for n in range(20)]
    assert [row["message_id"] for row in rows] == [f"<r{n}@test>" for n in range(20)]
    assert all(row["time"] > 0 for row in rows)


def test_it_refuses_and_listens_again_on_the_same_port() -> None:
    with MailServer() as mail:
        for _ in range(3):
            mail.refuse()
            assert send(Outbox(letter("a")), server_for(mail)).kinds() == [NotSent]
            mail.listen()
            assert send(Outbox(letter("b")), server_for(mail)).kinds() == [Accepted]


def test_a_rule_applies_to_its_address_its_connection_and_as_often_as_it_says() -> None:
    with MailServer() as mail:
        mail.on_rcpt("r1@example.org", "550 5.1.1 no")
        mail.on_dot("451 4.3.0 later", times=2, after=1)
        mail.on_mail("450 4.7.1 not here", connection=2)
        kinds = [kind.__name__ for kind in send(Outbox(*letters(6)), server_for(mail)).kinds()]
        assert kinds == ["Accepted", "Rejected", "Deferred", "Deferred", "Accepted", "Accepted"]
        assert [kind.__name__ for kind in send(Outbox(letter("x")), server_for(mail)).kinds()] == ["Deferred"]
        mail.forget()
        assert send(Outbox(letter("y")), server_for(mail)).kinds() == [Accepted]
        assert len(mail.letters_to("y@example.org")) == mail.tries("y@example.org") == 1
