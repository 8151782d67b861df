"""Letters of the accounts (not of mailings): built as values, sent by `account_mail`."""

from __future__ import annotations

import enum
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from zoneinfo import ZoneInfo

from babel.dates import format_datetime as format_moment
from flask_babel import get_locale, gettext, ngettext
from flask_babel import gettext as _
from jinja2 import Environment, PackageLoader, select_autoescape

from mailservice import clock
from mailservice.models import Mailing, SignUp, SignUpForm, User
from mailservice.services import addresses, mailings, signups, tokens


class AccountLetter(enum.StrEnum):
    CONFIRM = "confirm"  # prove your address
    EXISTS = "exists"  # somebody tried to register with your address
    RESET = "reset"  # choose a new password
    ADDRESS = "address"  # prove the new address, to the new one
    MOVING = "moving"  # you asked for another address, to the present one
    DISABLED = "disabled"  # a manager has disabled a mailing
    SIGN_UP = "sign_up"  # prove your address, to who signed up by an owner's form


PURPOSES = {
    AccountLetter.CONFIRM: tokens.Purpose.CONFIRM,
    AccountLetter.RESET: tokens.Purpose.RESET,
    AccountLetter.ADDRESS: tokens.Purpose.ADDRESS,
}
_templates = Environment(
    loader=PackageLoader("mailservice", "templates/letters"),
    autoescape=select_autoescape(["html"]),
    extensions=["jinja2.ext.i18n"],
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]


def is_due(kind: AccountLetter, user: User, mailing: Mailing | None = None) -> bool:
    """What was asked may be done by now, and a blocked user gets nothing."""
    if kind is AccountLetter.CONFIRM and user.is_confirmed:
        return False
    if kind in (AccountLetter.ADDRESS, AccountLetter.MOVING) and user.new_email is None:
        return False
    if kind is AccountLetter.DISABLED and (mailing is None or mailing.disabled_at is None):
        return False
    return user.is_active


def build(
    kind: AccountLetter,
    *,
    user: User,
    sender: str,
    public_url: str,
    secret: str,
    mailing: Mailing | None = None,
) -> EmailMessage:
    """The letter in the language in force. It repeats no text that a stranger may have typed into a form."""
    link = public_url + (f"/mailings/{mailing.id}" if mailing else _path(kind, user, secret))
    values = {"link": link, "public_url": public_url} | _disabling(mailing, user)
    return compose(kind, subject=_subject(kind), sender=sender, recipient=_recipient(kind, user), values=values)


def build_sign_up(row: SignUp, form: SignUpForm, *, sender: str, public_url: str, secret: str) -> EmailMessage:
    """To whoever typed his address, or somebody else's, into an owner's form; in the language in force."""
    values = {
        "link": f"{public_url}/join/confirm/{signups.token(row, secret=secret)}",
        "public_url": public_url,
        "title": form.title,
        "owner": row.owner.full_name,
    }
    subject = _("“%(title)s”: confirm your address", title=form.title)
    recipient = row.email if row.email.isascii() else row.email_normalised
    return compose(AccountLetter.SIGN_UP, subject=subject, sender=sender, recipient=recipient, values=values)


def compose(kind: AccountLetter, *, subject: str, sender: str, recipient: str, values: dict[str, str]) -> EmailMessage:
    """The letter from its two templates."""
    from_address = parse_sender(sender)
    letter = EmailMessage(policy=SMTP)
    letter["Subject"] = subject
    letter["From"] = from_address
    letter["To"] = Address(addr_spec=recipient)
    letter["Date"] = format_datetime(clock.now())
    letter["Message-ID"] = make_msgid(domain=from_address.domain)
    letter["Auto-Submitted"] = "auto-generated"
    values = values | {"subject": subject}
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


def _recipient(kind: AccountLetter, user: User) -> str:
    email = user.new_email if kind is AccountLetter.ADDRESS else user.email
    assert email is not None  # is_due
    return email if email.isascii() else addresses.parse(email).normalised


def _path(kind: AccountLetter, user: User, secret: str) -> str:
    purpose = PURPOSES.get(kind)
    if purpose is None:
        return "/account/address" if kind is AccountLetter.MOVING else "/sign-in"
    return f"/{purpose}/{tokens.make(user, purpose=purpose, secret=secret)}"


def _disabling(mailing: Mailing | None, user: User) -> dict[str, str]:
    """Which mailing, who disabled it, when on the owner's clock, and why."""
    if mailing is None or mailing.disabled_at is None:
        return {}
    zone = ZoneInfo(user.time_zone)
    when = format_moment(mailing.disabled_at, "d MMM y, HH:mm", tzinfo=zone, locale=get_locale())
    return {
        "title": mailing.title,
        "who": mailings.disabled_by(mailing) or _("a manager"),
        "when": f"{when} ({user.time_zone})",
        "reason": mailing.disabled_reason or "",
    }


def _subject(kind: AccountLetter) -> str:
    return {
        AccountLetter.CONFIRM: _("Confirm your address"),
        AccountLetter.EXISTS: _("You already have an account"),
        AccountLetter.RESET: _("Choose a new password"),
        AccountLetter.ADDRESS: _("Confirm your new address"),
        AccountLetter.MOVING: _("Your account gets another address"),
        AccountLetter.DISABLED: _("Your mailing is disabled"),
    }[kind]
