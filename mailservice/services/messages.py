"""Messages: subject, preheader and body with merge fields that are checked when they are saved."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import delete as delete_rows
from sqlalchemy import func, select
from sqlalchemy.orm import defer

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Mailing, Message, MessageKind, User
from mailservice.sending import content
from mailservice.sending.content import Problem
from mailservice.services import ids, pages, texts

LONGEST_SUBJECT = 250
LONGEST_PREHEADER = 250
BEGINNING = 160  # characters of a body that a list shows
NAMED = 3  # mailings that a refusal and a list name


def own(owner: User, message_id: int, *, lock: bool = False) -> Message:
    """The owner's message, or NotFound."""
    query = select(Message).where(Message.id == message_id, Message.owner_id == owner.id)
    query = query.with_for_update() if lock else query
    message = db.session.scalars(query).one_or_none() if ids.possible(message_id) else None
    if message is None:
        raise NotFound(_("There is no such message."))
    return message


def search(owner: User, *, words: str = "", number: int = 1, size: int = 50) -> pages.Page:
    """Rows (message, number of mailings that use it, beginning of the body), the latest change first."""
    uses = select(func.count()).where(Mailing.message_id == Message.id).scalar_subquery()
    query = select(Message, uses, func.substr(Message.body, 1, BEGINNING)).where(Message.owner_id == owner.id)
    query = query.options(defer(Message.body))  # which may be long
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


def used_in(messages: list[Message]) -> dict[int, list[tuple[int, str]]]:
    """By message: (id, title) of the first mailings that send it."""
    place = func.row_number().over(partition_by=Mailing.message_id, order_by=(Mailing.title, Mailing.id))
    rows = (
        select(Mailing.message_id, Mailing.id, Mailing.title, place.label("place"))
        .where(Mailing.message_id.in_([message.id for message in messages]))
        .subquery()
    )
    found: dict[int, list[tuple[int, str]]] = {}
    query = select(rows).where(rows.c.place <= NAMED).order_by(rows.c.message_id, rows.c.place)
    for message_id, mailing_id, title, _place in db.session.execute(query):
        found.setdefault(message_id, []).append((mailing_id, title))
    return found


def preview(message: Message, *, full_name: str, email: str, comment: str) -> content.Preview:
    """The message as this reader would get it."""
    return content.preview(
        message.subject,
        message.body,
        full_name=full_name,
        email=email,
        comment=comment,
        kind=message.kind,
        preheader=message.preheader,
    )


def create(
    owner: User, *, subject: str, body: str, kind: MessageKind = MessageKind.MARKDOWN, preheader: str = ""
) -> Message:
    """Invalid beside “subject”, “preheader” or “body” when they cannot become a letter."""
    message = Message(owner_id=owner.id)
    update(message, subject=subject, body=body, kind=kind, preheader=preheader)
    db.session.add(message)
    db.session.flush()
    return message


def update(
    message: Message, *, subject: str, body: str, kind: MessageKind = MessageKind.MARKDOWN, preheader: str = ""
) -> Message:
    """An attempt that has begun keeps the text with which it began."""
    for problem in problems(subject=subject, body=body, kind=kind, preheader=preheader):
        raise Invalid(problem.message, field=problem.field)
    message.subject, message.preheader, message.body = cleaned(subject=subject, body=body, preheader=preheader)
    message.kind = kind
    return message


def duplicate(message: Message) -> Message:
    """A copy of the owner's own, which no mailing sends yet."""
    subject = _("%(subject)s (copy)", subject=message.subject)
    if len(subject) > LONGEST_SUBJECT:
        subject = message.subject
    now = clock.now()
    copy = Message(
        owner_id=message.owner_id,
        kind=message.kind,
        subject=subject,
        preheader=message.preheader,
        body=message.body,
        created_at=now,
        updated_at=now,
    )
    db.session.add(copy)
    db.session.flush()
    return copy


def cleaned(*, subject: str, body: str, preheader: str) -> tuple[str, str, str]:
    """Subject, preheader and body as they are kept. Raises Invalid."""
    return (
        texts.one_line(subject, field="subject", longest=LONGEST_SUBJECT),
        texts.one_line(preheader, field="preheader", longest=LONGEST_PREHEADER),
        texts.many_lines(body, field="body", longest=max(content.LONGEST.values())),
    )


def problems(
    *, subject: str, body: str, kind: MessageKind, preheader: str = "", unfinished: bool = False
) -> list[Problem]:
    """All that keeps it from being saved; what is `unfinished` may be empty."""
    found = []
    checks = (
        ("subject", subject, texts.one_line, LONGEST_SUBJECT),
        ("preheader", preheader, texts.one_line, LONGEST_PREHEADER),
        ("body", body, texts.many_lines, content.LONGEST[kind]),
    )
    for field, text, check, longest in checks:
        try:
            kept = check(text, field=field, longest=longest)
            if field != "preheader" and not unfinished:
                texts.required(kept, field=field)
        except Invalid as error:
            found.append(Problem(field, error.message))
    wrong = {problem.field for problem in found}
    rest = {"subject": subject, "preheader": preheader, "body": body} | dict.fromkeys(wrong, "")
    return found + content.check(rest["subject"], rest["body"], kind=kind, preheader=rest["preheader"])


def delete(message: Message) -> None:
    """Refused while a mailing uses it. `message` is locked (`own(…, lock=True)`)."""
    mailings = used_by(message)
    if mailings:
        named = mailings[:NAMED]
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
