"""Saved filters: the list, making, changing, deleting, and whom conditions mean before they are saved."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.models import SavedFilter
from mailservice.sending.conditions import Conditions
from mailservice.services import filters, tags
from mailservice.web.clients import blueprint, words
from mailservice.web.clients.forms import ConditionsForm, SavedFilterForm, fields_of, mailings_named
from mailservice.web.forms import errors_beside, page


@blueprint.get("/filters")
def list_filters():
    lines = [
        (line, words.parts(current_user, line.conditions), fields_of(current_user, line.conditions))
        for line in filters.listed(current_user)
    ]
    return render_template("clients/filters.html", lines=lines)


@blueprint.route("/filters/new", methods=["GET", "POST"])
def new_filter():
    given = request.form if request.method == "POST" else request.args
    form = SavedFilterForm(given)
    form.offer(current_user, also=mailings_named(given))
    wanted = form.read(current_user)
    if request.method == "POST" and wanted is not None and "preview" not in request.form:
        with errors_beside(form), transaction():
            saved = filters.create(current_user, name=form.name.data or "", wanted=wanted)
        if not form.errors:
            flash(_("The filter “%(name)s” is saved. Mailings can use it now.", name=saved.name))
            return redirect(url_for(".list_filters"))
    return _page(form, wanted, None)


@blueprint.route("/filters/<int:filter_id>/edit", methods=["GET", "POST"])
def edit_filter(filter_id: int):
    saved = filters.own(current_user, filter_id)
    before = filters.conditions_of(saved)
    if request.method == "POST":
        form = SavedFilterForm(request.form)
    else:
        form = SavedFilterForm(None, data={"name": saved.name} | fields_of(current_user, before))
    form.offer(current_user, also=before.mailings)
    wanted = form.read(current_user) if request.method == "POST" else before
    if request.method == "POST" and wanted is not None and "preview" not in request.form:
        with errors_beside(form), transaction():
            saved = filters.own(current_user, filter_id)
            filters.change(current_user, saved, name=form.name.data or "", wanted=wanted)
        if not form.errors:
            flash(_("The changes are saved."))
            return redirect(url_for(".list_filters"))
    return _page(form, wanted, filters.own(current_user, filter_id))


@blueprint.get("/filters/preview")
def preview():
    form = ConditionsForm(request.args)
    form.offer(current_user, also=mailings_named(request.args))
    return render_template("clients/preview.html", preview=_preview(form.read(current_user)), form=form)


@blueprint.post("/filters/<int:filter_id>/delete")
def delete_filter(filter_id: int):
    try:
        with transaction():
            name = filters.delete(current_user, filters.own(current_user, filter_id))
        flash(_("The filter “%(name)s” is deleted.", name=name))
    except Refused as error:
        flash(error.message, "error")
    return redirect(url_for(".list_filters"))


def _page(form: SavedFilterForm, wanted: Conditions | None, saved: SavedFilter | None):
    return page("clients/filter.html", form, saved=saved, preview=_preview(wanted), known_tags=tags.names(current_user))


def _preview(wanted: Conditions | None) -> dict[str, Any] | None:
    """How many the conditions mean now, and some of them."""
    if wanted is None:
        return None
    count, found = filters.look(current_user, wanted)
    return {"count": count, "clients": found}
