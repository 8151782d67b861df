"""E-mail addresses: one place that says what is one and when two are the same."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email
from flask_babel import gettext as _

from mailservice.errors import Invalid

LONGEST = 254  # RFC 5321
PLAIN = re.compile(r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9.-]+)")
LONGEST_PLAIN = 64  # of the part before the @, and as much again for the domain: far below every limit


class Address(NamedTuple):
    """`given`: as a person typed it; `normalised`: lower case and ASCII, what uniqueness compares."""

    given: str
    normalised: str


def parse(text: str) -> Address:
    """The address in `text`; Invalid (field “email”) when there is none that every mail server takes.

    No name is looked up. An international domain is fine; a local part beyond ASCII is refused, because
    most servers do not take it.
    """
    text = (text or "").strip()
    return _plain(text) or parse_with_care(text)


def _plain(text: str) -> Address | None:
    """The address in `text` when it is of the common kind; None leaves the answer to `parse_with_care`.

    A list of a million addresses has some thousand domains: each is looked at with care once.
    """
    if (found := PLAIN.fullmatch(text)) is None:
        return None
    local, domain = found.groups()
    if len(local) > LONGEST_PLAIN or (ascii_domain := _domain(domain)) is None:
        return None
    return Address(text, f"{local.lower()}@{ascii_domain}")


@lru_cache(maxsize=1 << 15)
def _domain(domain: str) -> str | None:
    if len(domain) > LONGEST_PLAIN:
        return None
    try:
        return parse_with_care(f"a@{domain}").normalised.partition("@")[2]
    except Invalid:
        return None


def parse_with_care(text: str) -> Address:
    """What `parse` answers, from all the rules."""
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
