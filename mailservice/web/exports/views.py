"""Exports: each is noted in the log, then written as it is read.

By POST, since it leaves a trace: `macros/exports.html` has the buttons. What narrows a list stands in the address, as
on the list's own page.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial, update_wrapper
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from flask_babel import get_timezone
from flask_babel import gettext as _
from flask_login import current_user

from mailservice import clock
from mailservice.database import Model, transaction
from mailservice.errors import Invalid
from mailservice.models import SuppressionReason
from mailservice.services import audit, exports, reports, texts
from mailservice.services.audit import Action
from mailservice.services.exports import ClientRow, Slice, SuppressionRow
from mailservice.services.reports import DeliveryLine
from mailservice.web import filters, sheets, states
from mailservice.web.clients.forms import ConditionsForm, mailings_named
from mailservice.web.reports import words as report_words
from mailservice.web.reports.views import asked_for
from mailservice.web.sheets import Cell
from mailservice.web.suppressions.words import REASONS as SUPPRESSIONS

blueprint = Blueprint("exports", __name__, url_prefix="/export")


class Format(enum.StrEnum):
    CSV = "csv"
    XLSX = "xlsx"


WRITERS = {Format.CSV: sheets.as_csv, Format.XLSX: sheets.as_xlsx}
TYPES = {
    Format.CSV: "text/csv",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def clients(form: Format) -> Response:
    asked = ConditionsForm(request.args)
    asked.offer(current_user, also=mailings_named(request.args))
    wanted = asked.read(current_user)
    if wanted is None:
        raise Invalid(_("One of the conditions is wrong. Go back to the list and look at its filter."))
    titles = [_("E-mail"), _("Name"), _("Comment"), _("Tags"), _in_zone(_("Added"))]
    read = partial(exports.clients, current_user.id, wanted=wanted, at=clock.now())
    return _file("clients", form, titles, read, _client_writer())


def suppressions(form: Format) -> Response:
    words, reason = texts.search_words(request.args.get("q")), None
    with suppress(ValueError):
        reason = SuppressionReason(request.args.get("reason", ""))
    titles = [_("E-mail"), _("Reason"), _("Detail"), _in_zone(_("Since"))]
    read = partial(exports.suppressions, current_user.id, words=words, reason=reason)
    return _file("suppressions", form, titles, read, _suppression_writer())


def deliveries(attempt_id: int, form: Format) -> Response:
    attempt = reports.own(current_user, attempt_id)
    columns = [_("E-mail"), _("Name"), _("State"), _("Reason"), _("Code"), _("Enhanced code"), _("Server's answer")]
    titles = [*columns, _in_zone(_("When")), _("Tries")]
    read = partial(exports.deliveries, attempt.id, asked_for(attempt))
    return _file("deliveries", form, titles, read, _delivery_writer(), subject=attempt)


for each in Format:  # one endpoint for each file: exports.clients_csv, exports.clients_xlsx, …
    for rule, view in (
        (f"/clients.{each}", clients),
        (f"/suppressions.{each}", suppressions),
        (f"/attempts/<int:attempt_id>/deliveries.{each}", deliveries),
    ):
        named = update_wrapper(partial(view, form=each), view)
        blueprint.add_url_rule(rule, f"{view.__name__}_{each}", named, methods=["POST"])


def _file(
    name: str,
    form: Format,
    titles: Sequence[str],
    read: Callable[..., Slice],
    write: Callable[[Any], Sequence[Cell]],
    subject: Model | None = None,
) -> Response:
    """The note first: whoever breaks the download off has read what came until then."""
    with transaction():
        note: dict[str, Any] = {"list": name, "format": form.value}
        audit.note(current_user, Action.EXPORTED, subject=subject, address=request.remote_addr, **note)
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    response = Response(WRITERS[form](titles, map(write, _rows(read, app))), mimetype=TYPES[form])
    response.headers["Content-Disposition"] = f"attachment; filename={name}-{clock.now():%Y-%m-%d}.{form}"
    return response


def _rows(read: Callable[..., Slice], app: Flask) -> Iterator[Any]:
    """Row by row; each slice has a session of its own, so that no connection of the database waits for a slow reader.

    The request is over by then: what is needed of it was taken before.
    """
    after: str | None = None
    while True:
        with app.app_context():
            found = read(after=after)
        yield from found.rows
        after = found.after
        if after is None:
            return


def _in_zone(title: str) -> str:
    return f"{title} ({filters.zone_word()})"


def _moments() -> Callable[[datetime | None], str]:
    """Moments in the person's zone, as spreadsheets understand them."""
    zone = get_timezone()
    return lambda at: f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if at else ""


# What makes rows: words are translated once, not a million times.


def _client_writer() -> Callable[[ClientRow], Sequence[Cell]]:
    moment = _moments()
    return lambda row: (row.email, row.full_name, row.comment, row.tags, moment(row.created_at))


def _suppression_writer() -> Callable[[SuppressionRow], Sequence[Cell]]:
    moment, words = _moments(), {reason: str(word) for reason, word in SUPPRESSIONS.items()}
    return lambda row: (row.email, words[row.reason], row.detail, moment(row.created_at))


def _delivery_writer() -> Callable[[DeliveryLine], Sequence[Cell]]:
    moment, reasons = _moments(), {reason: str(word) for reason, word in report_words.REASONS.items()}
    state_words = {name: str(states.word(name)) for name in states.WORDS}

    def write(line: DeliveryLine) -> Sequence[Cell]:
        email, full_name = line.delivery.email, line.delivery.full_name
        state, latest = state_words[exports.state_of(line)], line.latest
        if latest is None:
            return (email, full_name, state, "", None, "", "", "", line.tries)
        why = reasons[latest.reason] if latest.reason else ""
        said = (latest.code, latest.enhanced or "", latest.reply or "")
        return (email, full_name, state, why, *said, moment(latest.tried_at), line.tries)

    return write
