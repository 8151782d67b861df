"""E-mail addresses: one place that says what is one and when two are the same."""

from __future__ import annotations

from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email
from flask_babel import gettext as _

from mailservice.errors import Invalid

LONGEST = 254  # RFC 5321


@dataclass(frozen=True)
class Address:
    """`given`: as a person typed it; `normalised`: lower case and ASCII, what uniqueness compares."""

    given: str
    normalised: str


def parse(text: str) -> Address:
    """The address in `text`; Invalid (field “email”) when there is none that every mail server takes.

    No name is looked up. An international domain is fine; a local part beyond ASCII is refused, because
    most servers do not take it.
    """
    text = (text or "").strip()
    if not text:
        raise Invalid(_("Enter an e-mail address."), field="email")
    if len(text) > LONGEST:
        raise Invalid(_("This is too long for an e-mail address."), field="email")
    try:
        parts = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        message = _("This does not look like an e-mail address. An example: anna@example.org")
        raise Invalid(message, field="email") from None
    return Address(text, f"{parts.local_part.lower()}@{parts.ascii_domain.lower()}")
