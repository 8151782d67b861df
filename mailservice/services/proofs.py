"""A proof: a message as one person would get it, marked as a test. It is no delivery and stands in no report."""

from __future__ import annotations

import secrets

from flask_babel import gettext as _
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, Refused
from mailservice.models import Message, Suppression, User
from mailservice.sending.fields import FieldError
from mailservice.sending.letters import BadLetter, Identity, LetterPress, Recipient, envelope_address
from mailservice.services import addresses, audit, masking
from mailservice.services.audit import Action
from mailservice.services.readers import Reader
from mailservice.smtp.letter import Letter

HEADER = b"X-Mailservice-Test: yes\r\n"


def build(owner: User, message: Message, *, to: str, reader: Reader, sender: str, public_url: str) -> Letter:
    """Refused to whoever has not confirmed his own address; Invalid beside “email” for an address on the stop list.

    The text greets `reader`. The link to unsubscribe is nobody's: whoever tries it out stays on all lists.
    """
    if not owner.is_confirmed:
        raise Refused(_("Confirm your own address first: then test letters can be sent."))
    address = addresses.parse(to)
    _check_stop_list(owner, address.normalised)
    try:
        identity = Identity(
            *(0, 0, owner.id, secrets.token_hex(8), sender, public_url),
            secrets.token_bytes(32),
            reply_to=(owner.full_name, envelope_address(owner.email)),
        )
        subject = _("[Test]") + " " + message.subject
        press = LetterPress(subject, message.body, identity, kind=message.kind, preheader=message.preheader)
        number = secrets.randbelow(2**31)
        recipient = Recipient(number, address.given, address.normalised, reader.full_name, reader.comment)
        letter = press.letter(recipient, at=clock.now().timestamp())
    except (FieldError, BadLetter) as error:
        raise Refused(_("No letter can be made of this message: %(reason)s", reason=str(error))) from None
    return letter._replace(content=HEADER + letter.content)


def note(owner: User, message: Message, *, to: str, address: str | None) -> None:
    """That it was sent; the log, which managers read, knows the recipient by half only."""
    masked = masking.address(addresses.parse(to).normalised)
    audit.note(owner, Action.TEST_SENT, subject=message, address=address, to=masked)


def _check_stop_list(owner: User, normalised: str) -> None:
    query = select(Suppression.id).where(Suppression.owner_id == owner.id, Suppression.email_normalised == normalised)
    if db.session.scalar(query) is not None:
        raise Invalid(_("This address is on your stop list: nothing is sent to it."), field="email")
