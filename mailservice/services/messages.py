"""Messages: subject and body (Markdown) with merge fields that are checked when they are saved."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select

from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Mailing, Message, User
from mailservice.sending import content
from mailservice.services import ids, pages, texts

LONGEST_SUBJECT = 250
LONGEST_BODY = 200_000  # characters; large mail providers cut a letter long before


def own(owner: User, message_id: int, *, lock: bool = False) -> Message:
    """The owner's message, or NotFound."""
    query = select(Message).where(Message.id == message_id, Message.owner_id == owner.id)
    query = query.with_for_update() if lock else query
    message = db.session.scalars(query).one_or_none() if ids.possible(message_id) else None
    if message is None:
        raise NotFound(_("There is no such message."))
    return message


def search(owner: User, *, words: str = "", number: int = 1, size: int = 50) -> pages.Page:
    """Rows (message, number of mailings that use it), the latest change first."""
    uses = select(func.count()).where(Mailing.message_id == Message.id).scalar_subquery()
    query = select(Message, uses).where(Message.owner_id == owner.id)
    if words:
        query = query.where(pages.matches(words, Message.subject))
    query = query.order_by(Message.updated_at.desc(), Message.id.desc())
    return pages.fetch(query, number=number, size=size, rows=True)


def choices(owner: User) -> list[tuple[int, str]]:
    """(id, subject) of all messages of the owner, for choosing one."""
    query = select(Message.id, Message.subject).where(Message.owner_id == owner.id)
    return [(row.id, row.subject) for row in db.session.execute(query.order_by(Message.subject, Message.id))]


def used_by(message: Message) -> list[Mailing]:
    """The mailings that send this message."""
    query = select(Mailing).where(Mailing.message_id == message.id).order_by(Mailing.title, Mailing.id)
    return list(db.session.scalars(query))


def preview(message: Message, *, full_name: str, email: str, comment: str) -> content.Preview:
    """The message as this reader would get it."""
    return content.preview(message.subject, message.body, full_name=full_name, email=email, comment=comment)


def create(owner: User, *, subject: str, body: str) -> Message:
    """Invalid beside “subject” or “body” when they cannot become a letter."""
    message = Message(owner_id=owner.id)
    update(message, subject=subject, body=body)
    db.session.add(message)
    db.session.flush()
    return message


def update(message: Message, *, subject: str, body: str) -> Message:
    """An attempt that has begun keeps the text with which it began."""
    subject = texts.one_line(subject, field="subject", longest=LONGEST_SUBJECT)
    body = texts.many_lines(body, field="body", longest=LONGEST_BODY)
    texts.required(subject, field="subject")
    texts.required(body, field="body")
    check_fields(subject, field="subject")
    check_fields(body, field="body")
    message.subject, message.body = subject, body
    return message


def check_fields(text: str, *, field: str) -> None:
    """Invalid beside “subject” or “body” when its merge fields are not ours or its braces do not close."""
    for problem in content.check(**{"subject": "", "body": "", field: text}):
        raise Invalid(problem.message, field=field)


def delete(message: Message) -> None:
    """Refused while a mailing uses it. `message` is locked (`own(…, lock=True)`)."""
    mailings = used_by(message)
    if mailings:
        named = mailings[:3]
        titles = ", ".join(_("“%(title)s”", title=mailing.title) for mailing in named)
        text = (
            ngettext(
                "A mailing uses this message, so it cannot be deleted: %(titles)s.",
                "Mailings use this message, so it cannot be deleted: %(titles)s.",
                len(named),
                titles=titles,
            )
            if len(mailings) == len(named)
            else _("Mailings use this message, so it cannot be deleted: %(titles)s and others.", titles=titles)
        )
        raise Refused(text)
    db.session.execute(delete_rows(Message).where(Message.id == message.id))
