"""Acts on many clients: first the question with the exact number, then the act in slices."""

from __future__ import annotations

import json
from typing import Any

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from mailservice import clock
from mailservice.database import transaction
from mailservice.errors import Invalid
from mailservice.sending import conditions
from mailservice.services import many_clients
from mailservice.services.many_clients import Act
from mailservice.web.clients import blueprint, words
from mailservice.web.clients.forms import BulkForm, fields_of
from mailservice.web.filters import number

SECONDS = 12.0  # one request works for so long; a button goes on with the rest


@blueprint.post("/bulk")
def ask() -> ResponseReturnValue:
    form = _form()
    try:
        return _question(form)
    except Invalid as error:
        flash(error.message, "error")
        return redirect(_list(form))


@blueprint.post("/bulk/do")
def act() -> ResponseReturnValue:
    """Begins the act, or goes on with it (`after`)."""
    form = _form()
    chosen = form.chosen()
    if not form.until.data:
        if many_clients.count(current_user, chosen) != form.counted.data:
            flash(_("The number of clients has changed meanwhile. Look at it again."), "error")
            return _question(form)
        form.until.data, form.after.data, form.done.data = many_clients.last_id(current_user), 0, 0
    if not _work(form):
        return render_template("clients/bulk_rest.html", form=form, **_sayings(form))
    flash(_what_was_done(form))
    return redirect(_list(form))


def _form() -> BulkForm:
    form = BulkForm()
    if not form.validate():
        raise Invalid(_("This act cannot be read. Go back to the list and choose it again."))
    return form


def _work(form: BulkForm) -> bool:
    """Slices, each in a transaction of its own; whether it is through."""
    chosen, what, end = form.chosen(), Act(form.act.data), clock.steady() + SECONDS
    named = form.named.data or ""
    after: int | None = form.after.data or 0
    while after is not None and clock.steady() < end:
        with transaction():
            done, after = many_clients.step(current_user, chosen, what, named=named, after=after, until=form.until.data)
        form.done.data = (form.done.data or 0) + done
    form.after.data = after
    return after is None


def _question(form: BulkForm) -> ResponseReturnValue:
    chosen = form.chosen()
    form.named.data = many_clients.check(current_user, Act(form.act.data), named=form.named.data or "")
    form.counted.data = many_clients.count(current_user, chosen)
    if not form.counted.data:
        raise Invalid(_("Nobody is chosen."))
    examples = many_clients.examples(current_user, chosen)
    return render_template("clients/bulk.html", form=form, examples=examples, **_sayings(form))


def _sayings(form: BulkForm) -> dict[str, Any]:
    wanted = form.conditions()
    return {
        "parts": words.parts(current_user, wanted) if form.scope.data == "all" else [],
        "wanted": json.dumps(conditions.as_json(wanted)),
        "back": _list(form),
        "button": _button(Act(form.act.data), form.counted.data or 0),
    }


def _list(form: BulkForm) -> str:
    """The list with the filter that it had."""
    return url_for(".index", **fields_of(current_user, form.conditions()))


def _button(what: Act, count: int) -> str:
    match what:
        case Act.TAG:
            text = ngettext("Tag %(number)s client", "Tag %(number)s clients", count, number=number(count))
        case Act.UNTAG:
            text = ngettext("Untag %(number)s client", "Untag %(number)s clients", count, number=number(count))
        case Act.DELETE:
            text = ngettext("Delete %(number)s client", "Delete %(number)s clients", count, number=number(count))
    return text


def _what_was_done(form: BulkForm) -> str:
    count, named = form.done.data or 0, form.named.data or ""
    said = {"number": number(count), "named": named}
    match Act(form.act.data):
        case Act.TAG:
            text = ngettext(
                "%(number)s client is tagged: %(named)s.", "%(number)s clients are tagged: %(named)s.", count, **said
            )
        case Act.UNTAG:
            text = ngettext(
                "%(number)s client is untagged: %(named)s.",
                "%(number)s clients are untagged: %(named)s.",
                count,
                **said,
            )
        case Act.DELETE:
            text = ngettext("%(number)s client is deleted.", "%(number)s clients are deleted.", count, **said)
    return text
