"""An attempt sends what the message said when it began, in the kind it was written in."""

from __future__ import annotations

from email import message_from_bytes, policy

from mailservice.jobs import ticks
from mailservice.models import MessageKind
from mailservice.sending import settling
from tests import factories
from tests.engine import change, due_mailing, run_senders


def test_kind_preheader_and_body_are_those_of_the_beginning(app, mail_server):
    owner = factories.user()
    body = '<p style="color:red">Hello</p><script>x</script>'
    message = factories.message(owner, kind=MessageKind.HTML, preheader="Before", body=body)
    due_mailing(owner, ["a@example.org"], message=message)
    ticks.plan_due()
    settling.prepare(sender="news@shop.example", seconds=5)
    change(message, kind=MessageKind.PLAIN, preheader="", body="x")
    run_senders()
    (letter,) = mail_server.accepted
    page = message_from_bytes(letter.content, policy=policy.default).get_body(("html",)).get_content()
    assert '<p style="color:red">Hello</p>' in page
    assert "Before" in page
    assert "script" not in page
