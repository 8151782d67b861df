"""The letter that all contenders send: what a client of this service would get, for others to fill in."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from functools import cache
from typing import NamedTuple

from benchmarks import ground
from mailservice.sending.content import preview
from mailservice.sending.letters import Identity, LetterPress, Recipient
from mailservice.sending.unsubscribe_token import Signer

NAME = "NAMEOFCLIENT"  # stands where the client's first name will
LINK = 'href="#"'  # as a preview shows the way out
URL, KEY, OWNER = "https://mail.shop.example", b"k" * 32, 1
SHORT_URL, TAG = "https://shop.example/u", 22  # a longer line `email` would encode, and nobody could follow the link


class Filled(NamedTuple):
    """One client's letter, before anybody makes MIME of it."""

    name: str
    email: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]  # besides the usual ones

    @property
    def to(self) -> str:
        return formataddr((self.name, self.email))


@cache
def template() -> Filled:
    """The message, rendered once; only the name and the way out are still open."""
    shown = preview(ground.SUBJECT, ground.body(), full_name=NAME, email="", comment="")
    if shown.html.count(LINK) != 1:
        raise AssertionError("a letter has one way out")
    return Filled("", "", shown.subject, shown.text, shown.html, {})


_sign = Signer(KEY, OWNER)


def filled(number: int) -> Filled:
    open_, name, email = template(), ground.full_name(number), ground.email(number)
    first, way_out = name.split()[0], f"{SHORT_URL}/{_sign(email)[:TAG].decode()}"
    return Filled(
        name,
        email,
        open_.subject.replace(NAME, first),
        open_.text.replace(NAME, first),
        open_.html.replace(NAME, first).replace(LINK, f'href="{way_out}"'),
        {
            "List-Unsubscribe": f"<{way_out}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "List-Id": "<mailing-1.shop.example>",
        },
    )


def message(number: int) -> EmailMessage:
    """A client's letter as one builds it with the standard library."""
    client, built = filled(number), EmailMessage()
    built["From"], built["To"], built["Subject"] = ground.SENDER, client.to, client.subject
    built["Date"], built["Message-ID"] = formatdate(), make_msgid(domain="shop.example")
    for header, value in client.headers.items():
        built[header] = value
    built.set_content(client.text)
    built.add_alternative(client.html, subtype="html")
    return built


@cache
def ours() -> bytes:
    """A client's letter as this service builds it."""
    identity = Identity(1, 1, OWNER, "0" * 32, ground.SENDER, URL, KEY)
    press = LetterPress(ground.SUBJECT, ground.body(), identity)
    return press.letter(Recipient(1, ground.email(1), ground.email(1), ground.full_name(1), ""), at=1e9).content
