"""The desk's lists of what is sent: mailings, attempts, deliveries, messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy import select, true
from sqlalchemy.orm import joinedload

from mailservice import account_mail
from mailservice.database import db
from mailservice.models import Attempt, Delivery, Mailing, Message
from mailservice.services import mailing_lists, mailings, masking, messages, oversight, overview, reports
from mailservice.services.account_letters import AccountLetter
from mailservice.services.counting import STATES
from mailservice.services.mailings import Phase
from mailservice.services.reports import Ending
from mailservice.web import states
from mailservice.web.mailings import words as schedule_words
from mailservice.web.manager import cells
from mailservice.web.manager.desk import ByAddress, Desk
from mailservice.web.manager.filters import Choice, Number, Person, days
from mailservice.web.manager.forms import ReasonForm, UndoForm
from mailservice.web.reports import words as report_words

FIRING = (Phase.CREATED, Phase.RUNNING, Phase.SENDING)


class Mailings(Desk):
    of = Mailing
    slug = "mailings"
    title = _l("Mailings")
    eager = (joinedload(Mailing.owner), joinedload(Mailing.message))
    column_list = ("title", "owner", "phase", "schedule", "next_at", "clients")
    column_export_list = (*column_list, "created_at")
    column_details_list = ("owner", "message", "phase", "schedule", "time_zone", "next_at", "clients", "created_at")
    column_labels = {
        "title": _l("Mailing"),
        "owner": _l("Owner"),
        "message": _l("Message"),
        "phase": _l("State"),
        "schedule": _l("When"),
        "time_zone": _l("Time zone"),
        "next_at": _l("Next time"),
        "clients": _l("Clients"),
        "created_at": _l("Created"),
    }
    column_formatters = {
        "title": cells.link(lambda line: line.mailing.title, lambda line: ("mailings", line.mailing.id), look="name"),
        "owner": cells.person(lambda line: line.mailing.owner),
        "message": cells.link(lambda line: line.subject, lambda line: ("messages", line.mailing.message_id)),
        "phase": cells.state(lambda line: line.phase),
        "schedule": cells.text(lambda line: schedule_words.schedule(line.mailing)),
        "time_zone": cells.text(lambda line: line.mailing.time_zone),
        "next_at": cells.moment(lambda line: line.mailing.next_at if line.phase in FIRING else None),
        "clients": cells.number(lambda line: line.clients),
        "created_at": cells.moment(lambda line: line.mailing.created_at),
    }
    column_sortable_list = ("title", ("owner", "owner.email"), "next_at")
    column_searchable_list = ("title", "message.subject")
    search_hint = _l("Find by title or subject")
    column_filters = (
        Choice("state", _l("State"), lambda name: mailings.in_phase(Phase(name)), {p: states.word(p) for p in Phase}),
        Choice("period", _l("How often"), lambda name: Mailing.periodicity == name, schedule_words.PERIODICITIES),
        Person("owner", _l("Owner's address"), Mailing.owner_id.in_),
        *days(Mailing.created_at, _l("Created from"), _l("Created until")),
    )
    details_template = "manager/mailing.html"

    def lines(self, rows: Sequence[Mailing]) -> list[mailing_lists.Line]:
        return mailing_lists.lines(rows)

    def beside(self, line: mailing_lists.Line) -> dict[str, Any]:
        return {
            "attempts": overview.attempts_of(line.mailing),
            "disabled_by": mailings.disabled_by(line.mailing),
            "events": overview.events_about(line.mailing),
        }

    @expose("/<int:row_id>/disable", methods=("GET", "POST"))
    def disable_view(self, row_id: int) -> Any:
        form, mailing = ReasonForm(), self.get_one(row_id).mailing

        def do() -> str:
            found = oversight.mailing(row_id)
            oversight.disable(found, reason=form.why, by=current_user, address=request.remote_addr)
            return _("“%(title)s” is disabled; its owner is told by mail.", title=found.title)

        return self.act(
            form,
            do,
            then=lambda: account_mail.ring(AccountLetter.DISABLED, mailing.owner_id, row_id),
            heading=_("Disable “%(title)s”", title=mailing.title),
            what=_(
                "No letter of it starts any more, and what is being sent stops within a second. "
                "Its owner cannot undo this; he is told by mail and on the mailing's page."
            ),
            help=_("The owner reads it, too."),
            button=_("Disable"),
            danger=True,
            back=self.page_of(row_id),
        )

    @expose("/<int:row_id>/enable", methods=("GET", "POST"))
    def enable_view(self, row_id: int) -> Any:
        form, mailing = UndoForm(), self.get_one(row_id).mailing

        def do() -> str:
            found = oversight.mailing(row_id)
            oversight.enable(found, reason=form.why, by=current_user, address=request.remote_addr)
            return _("“%(title)s” is enabled again.", title=found.title)

        return self.act(
            form,
            do,
            heading=_("Enable “%(title)s”", title=mailing.title),
            what=_("It goes on with its next time. What fell due meanwhile is not sent."),
            help=_("Managers read it here."),
            button=_("Enable"),
            back=self.page_of(row_id),
        )


def _counted(state: str) -> cells.Formatter:
    return cells.number(lambda line: getattr(line.counts, state))


class Attempts(Desk):
    of = Attempt
    slug = "attempts"
    title = _l("Attempts")
    eager = (joinedload(Attempt.mailing).joinedload(Mailing.owner),)
    column_list = ("mailing", "due_at", "ending", "letters", "reply")
    column_details_list = ("mailing", "due_at", "ending", "subject", "sender")
    column_export_list = ("mailing", "owner", "due_at", "ending", "audience", *STATES, "reply")
    column_labels = {
        "mailing": _l("Mailing"),
        "owner": _l("Owner"),
        "due_at": _l("Due"),
        "ending": _l("State"),
        "letters": _l("Letters"),
        "audience": _l("Letters"),
        "reply": _l("Server's answer"),
        "subject": _l("Subject"),
        "sender": _l("Sender"),
        **{name: states.word(name) for name in STATES},
    }
    column_formatters = {
        "mailing": cells.above(
            cells.link(lambda line: line.mailing.title, lambda line: ("attempts", line.attempt.id), look="name"),
            cells.person(lambda line: line.mailing.owner),
        ),
        "owner": cells.person(lambda line: line.mailing.owner),
        "due_at": cells.moment(lambda line: line.attempt.due_at),
        "ending": cells.state(
            lambda line: reports.ending_of(line.attempt), report_words.ENDINGS.get, report_words.ENDING_COLOURS.get
        ),
        "letters": cells.counts(lambda line: line.attempt.id, lambda line: line.counts),
        "reply": cells.reply(lambda line: masking.text(line.attempt.server_reply)),
        "subject": cells.text(lambda line: line.attempt.subject),
        "sender": cells.text(lambda line: line.attempt.sender),
        "audience": cells.number(lambda line: line.counts.total),
        **{name: _counted(name) for name in STATES},
    }
    column_sortable_list = ("due_at",)
    column_searchable_list = ("mailing.title",)
    search_hint = _l("Find by the mailing's title")
    column_filters = (
        Choice("state", _l("State"), lambda name: reports.ends(Ending(name)), report_words.ENDINGS),
        Person("owner", _l("Owner's address"), Attempt.owner_id.in_),
        *days(Attempt.due_at, _l("Due from"), _l("Due until")),
        Number("mailing", _l("Mailing"), lambda number: Attempt.mailing_id == number, quiet=True),
    )
    details_template = "manager/attempt.html"

    def lines(self, rows: Sequence[Attempt]) -> list[reports.AttemptLine]:
        return reports.attempt_lines([(attempt, attempt.mailing) for attempt in rows])

    def beside(self, line: reports.AttemptLine) -> dict[str, Any]:
        return {
            "troubles": reports.troubles(line.attempt),
            "deferred": reports.deferred(line.attempt) if line.attempt.is_open else (0, None),
        }


OF_ATTEMPTS = ("owner", "attempt")  # filters of deliveries whose questions are to their attempts


class Deliveries(ByAddress):
    of = Delivery
    slug = "deliveries"
    title = _l("Deliveries")
    eager = (joinedload(Delivery.attempt).joinedload(Attempt.mailing).joinedload(Mailing.owner),)
    column_list = ("email", "attempt", "state", "reply", "tried_at")
    column_details_list = ("email", "attempt", "owner", "state", "tries")
    column_export_list = ("email", "attempt", "owner", "state", "reply", "tried_at", "tries")
    column_labels = {
        "email": _l("Address"),
        "attempt": _l("Attempt"),
        "owner": _l("Owner"),
        "state": _l("State"),
        "reply": _l("Server's answer"),
        "tried_at": _l("Last try"),
        "tries": _l("Tries"),
    }
    column_formatters = {
        "email": cells.address(lambda line: line.delivery.email, "deliveries", lambda line: line.delivery.id),
        "attempt": cells.link(
            lambda line: line.delivery.attempt.mailing.title, lambda line: ("attempts", line.delivery.attempt_id)
        ),
        "owner": cells.person(lambda line: line.delivery.attempt.mailing.owner),
        "state": cells.state(lambda line: line.state or ("deferred" if line.latest else "waiting")),
        "reply": cells.reply(
            lambda line: masking.text(line.latest.reply, known=line.delivery.email) if line.latest else ""
        ),
        "tried_at": cells.moment(lambda line: line.latest.tried_at if line.latest else None),
        "tries": cells.number(lambda line: line.tries),
    }
    column_filters = (
        Choice("state", _l("State"), reports.in_state, {name: states.word(name) for name in STATES}),
        Person("owner", _l("Owner's address"), Attempt.owner_id.in_),
        Number("attempt", _l("Attempt"), lambda number: Attempt.id == number),
    )
    details_template = "manager/delivery.html"
    counted = 1_000  # among a million, each may have to be looked for

    def _apply_sorting(self, query, joins, sort_column, sort_desc):
        """In the direction of the index by which an attempt's deliveries are found, those of the newest first."""
        return query.order_by(Delivery.attempt_id.desc(), Delivery.batch.desc(), Delivery.id.desc()), joins

    def _numbers(self, sort_column, sort_desc, search, filters, *, most):
        """Attempt by attempt, and no further than needed: those of one state lie scattered among a million."""
        chosen = [(self._filters[position], value) for position, arg, value in filters if arg in OF_ATTEMPTS]
        of_attempts = [choice.condition(choice.clean(value)) for choice, value in chosen]
        rest = [asked for asked in filters if asked[1] not in OF_ATTEMPTS]
        question = self._question(sort_column, sort_desc, search, rest)
        if db.engine.dialect.name == "sqlite":  # which goes by the index of the order, and knows no LATERAL
            is_chosen = Delivery.attempt_id.in_(select(Attempt.id).where(*of_attempts)) if of_attempts else true()
            return [row[0] for row in question.filter(is_chosen).limit(most)]
        within = question.add_columns(Delivery.batch).filter(Delivery.attempt_id == Attempt.id).limit(most)
        found = within.statement.correlate(Attempt).lateral("found")
        attempts = select(found.c.id).select_from(Attempt).join(found, true()).where(*of_attempts)
        order = (Attempt.id.desc(), found.c.batch.desc(), found.c.id.desc())
        return list(db.session.scalars(attempts.order_by(*order).limit(most)))

    def lines(self, rows: Sequence[Delivery]) -> list[reports.DeliveryLine]:
        return reports.delivery_lines(rows)

    def has_address(self, email: str) -> Any:
        """Through each attempt's index on its addresses: the table itself has no other way to an address."""
        return Delivery.attempt_id.in_(select(Attempt.id)) & (Delivery.email_normalised == email)

    def beside(self, line: reports.DeliveryLine) -> dict[str, Any]:
        return {"tries": reports.results_of([line.delivery.id])[line.delivery.id]}


class Messages(Desk):
    of = Message
    slug = "messages"
    title = _l("Messages")
    eager = (joinedload(Message.owner),)
    column_list = ("subject", "owner", "created_at", "updated_at")
    column_details_list = ("owner", "created_at", "updated_at")
    column_labels = {
        "subject": _l("Subject"),
        "owner": _l("Owner"),
        "created_at": _l("Created"),
        "updated_at": _l("Changed"),
    }
    column_formatters = {
        "subject": cells.link(lambda message: message.subject, lambda message: ("messages", message.id), look="name"),
        "owner": cells.person(lambda message: message.owner),
        "created_at": cells.moment(lambda message: message.created_at),
        "updated_at": cells.moment(lambda message: message.updated_at),
    }
    column_sortable_list = ("subject", ("owner", "owner.email"), "created_at", "updated_at")
    column_searchable_list = ("subject",)
    search_hint = _l("Find by subject")
    column_filters = (
        Person("owner", _l("Owner's address"), Message.owner_id.in_),
        *days(Message.updated_at, _l("Changed from"), _l("Changed until")),
    )
    details_template = "manager/message.html"

    def beside(self, line: Message) -> dict[str, Any]:
        return {"used_by": messages.used_by(line)}
