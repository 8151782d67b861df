"""The letter that all contenders send: what a client of this service would get, for others to fill in."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from functools import cache
from typing import NamedTuple

from benchmarks import ground
from mailservice.sending.content import preview
from mailservice.sending.letters import Identity, LetterPress, Recipient

NAME = "NAMEOFCLIENT"  # stands where the client's first name will


class Filled(NamedTuple):
    """One client's letter, before anybody makes MIME of it."""

    name: str
    email: str
    subject: str
    text: str
    html: str

    @property
    def to(self) -> str:
        return formataddr((self.name, self.email))


@cache
def template() -> Filled:
    """The message, rendered once; only the name is still open."""
    shown = preview(ground.SUBJECT, ground.body(), full_name=NAME, email="", comment="")
    return Filled("", "", shown.subject, shown.text, shown.html)


def filled(number: int) -> Filled:
    open_, name = template(), ground.full_name(number)
    first = name.split()[0]
    return Filled(
        name,
        ground.email(number),
        open_.subject.replace(NAME, first),
        open_.text.replace(NAME, first),
        open_.html.replace(NAME, first),
    )


def message(number: int) -> EmailMessage:
    """A client's letter as one builds it with the standard library."""
    client, built = filled(number), EmailMessage()
    built["From"], built["To"], built["Subject"] = ground.SENDER, client.to, client.subject
    built["Date"], built["Message-ID"] = formatdate(), make_msgid(domain="shop.example")
    built.set_content(client.text)
    built.add_alternative(client.html, subtype="html")
    return built


@cache
def ours() -> bytes:
    """A client's letter as this service builds it."""
    identity = Identity(1, 1, 1, "0" * 32, ground.SENDER, "https://mail.shop.example", b"k" * 32)
    press = LetterPress(ground.SUBJECT, ground.body(), identity)
    return press.letter(Recipient(1, ground.email(1), ground.email(1), ground.full_name(1), ""), at=1e9).content
