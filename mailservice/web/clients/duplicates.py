"""Duplicates: groups of clients who are probably one person, and their merge."""

from __future__ import annotations

from contextlib import suppress

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from mailservice.database import transaction
from mailservice.errors import Invalid
from mailservice.services import clients, duplicates, tags
from mailservice.services.duplicates import Likeness
from mailservice.web import paging
from mailservice.web.clients import blueprint

SIZE = 25


@blueprint.get("/duplicates")
def list_duplicates() -> str:
    likeness = _likeness(request.args.get("by"))
    page = duplicates.groups(current_user, likeness, **paging.asked() | {"size": SIZE})
    shown = [client for group in page.items for client in group.clients]
    return render_template(
        "clients/duplicates.html",
        page=page,
        likeness=likeness,
        Likeness=Likeness,
        tags=tags.of_clients([client.id for client in shown]),
        suppressed=clients.suppressed(current_user, shown),
        mailings=duplicates.mailings_of([client.id for client in shown]),
    )


@blueprint.post("/duplicates/merge")
def merge() -> ResponseReturnValue:
    keep_id = request.form.get("keep", 0, type=int)
    chosen = request.form.getlist("client", type=int)
    try:
        with transaction():
            kept = duplicates.merge(current_user, keep_id=keep_id, ids=chosen)
        flash(_("They are one client now: %(email)s.", email=kept.email))
    except Invalid as error:
        flash(error.message, "error")
    return redirect(url_for(".list_duplicates", by=_likeness(request.form.get("by")).value))


def _likeness(text: str | None) -> Likeness:
    with suppress(ValueError):
        return Likeness(text or "")
    return Likeness.MAILBOX
