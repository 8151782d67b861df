"""Letters of the accounts (not of mailings): built as values, sent by `account_mail`."""

from __future__ import annotations

import enum
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from flask_babel import gettext, ngettext
from flask_babel import gettext as _
from jinja2 import Environment, PackageLoader, select_autoescape

from mailservice import clock
from mailservice.models import User
from mailservice.services import tokens


class AccountLetter(enum.StrEnum):
    CONFIRM = "confirm"  # prove your address
    EXISTS = "exists"  # somebody tried to register with your address
    RESET = "reset"  # choose a new password


PURPOSES = {AccountLetter.CONFIRM: tokens.Purpose.CONFIRM, AccountLetter.RESET: tokens.Purpose.RESET}
_templates = Environment(
    loader=PackageLoader("mailservice", "templates/letters"),
    autoescape=select_autoescape(["html"]),
    extensions=["jinja2.ext.i18n"],
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]


def is_due(kind: AccountLetter, user: User) -> bool:
    """What was asked may be done by now, and a blocked user gets nothing."""
    return user.is_active and not (kind is AccountLetter.CONFIRM and user.is_confirmed)


def build(kind: AccountLetter, *, user: User, sender: str, public_url: str, secret: str) -> EmailMessage:
    """The letter in the language in force. It repeats no text that a stranger may have typed into a form."""
    link = public_url + _path(kind, user, secret)
    from_address = parse_sender(sender)
    letter = EmailMessage(policy=SMTP)
    letter["Subject"] = _subject(kind)
    letter["From"] = from_address
    letter["To"] = Address(addr_spec=user.email if user.email.isascii() else user.email_normalised)
    letter["Date"] = format_datetime(clock.now())
    letter["Message-ID"] = make_msgid(domain=from_address.domain)
    letter["Auto-Submitted"] = "auto-generated"
    values = {"link": link, "public_url": public_url, "subject": _subject(kind)}
    text = _templates.get_template(f"{kind}.txt").render(values)
    html = _templates.get_template(f"{kind}.html").render(values)
    letter.set_content(text, cte="quoted-printable")
    letter.add_alternative(html, subtype="html", cte="quoted-printable")
    return letter


def parse_sender(text: str) -> Address:
    """`Shop, Ltd <news@shop.example>` with or without quotes, or the bare address."""
    match = re.fullmatch(r'\s*"?(?P<name>[^<>]*?)"?\s*<(?P<address>[^<>\s]+)>\s*', text)
    if not match:
        return Address(addr_spec=text.strip())
    return Address(display_name=match["name"].replace('\\"', '"'), addr_spec=match["address"])


def _path(kind: AccountLetter, user: User, secret: str) -> str:
    purpose = PURPOSES.get(kind)
    if purpose is None:
        return "/sign-in"
    return f"/{purpose}/{tokens.make(user, purpose=purpose, secret=secret)}"


def _subject(kind: AccountLetter) -> str:
    return {
        AccountLetter.CONFIRM: _("Confirm your address"),
        AccountLetter.EXISTS: _("You already have an account"),
        AccountLetter.RESET: _("Choose a new password"),
    }[kind]
