"""The stop list: who gets no more mail from this owner, and why."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user

from mailservice.database import transaction
from mailservice.models import SuppressionReason
from mailservice.services import suppressions, texts
from mailservice.web import paging
from mailservice.web.forms import errors_beside, page
from mailservice.web.suppressions import blueprint, words
from mailservice.web.suppressions.forms import AddForm, LiftForm


@blueprint.get("")
def index():
    sought = texts.search_words(request.args.get("q"))
    reason, order = request.args.get("reason", ""), request.args.get("sort", "")
    asked: dict[str, Any] = {
        "words": sought,
        "reason": SuppressionReason(reason) if reason in set(SuppressionReason) else None,
        "order": order if order in suppressions.ORDERS else "newest",
    }
    found = suppressions.search(current_user, **(asked | paging.asked()))
    return render_template("suppressions/index.html", page=found, w=words, **asked)


@blueprint.route("/new", methods=["GET", "POST"])
def new():
    form = AddForm()
    if form.validate_on_submit():
        values = {"pasted": form.pasted.data or "", "note": form.note.data or ""}
        with errors_beside(form), transaction():
            added = suppressions.add(current_user, address=request.remote_addr, **values)
        if not form.errors:
            flash(_told(added))
            return redirect(url_for(".index"))
    return page("suppressions/new.html", form)


@blueprint.route("/<int:suppression_id>/lift", methods=["GET", "POST"])
def lift(suppression_id: int):
    form = LiftForm()
    row = suppressions.own(current_user, suppression_id)
    if form.validate_on_submit():
        with errors_beside(form), transaction():
            email = suppressions.lift(
                current_user, suppression_id, note=form.note.data or "", address=request.remote_addr
            )
        if not form.errors:
            flash(_("%(email)s may get letters again.", email=email))
            return redirect(url_for(".index"))
        row = suppressions.own(current_user, suppression_id)
    asked_at, may_lift = suppressions.asked_back_at(row), suppressions.may_lift(row)
    return page("suppressions/lift.html", form, row=row, asked_at=asked_at, may_lift=may_lift, w=words)


def _told(added: suppressions.Added) -> str:
    new = ngettext("%(num)d address is new on the stop list.", "%(num)d addresses are new on the stop list.", added.new)
    known = ngettext("%(num)d was there already.", "%(num)d were there already.", added.known)
    return f"{new} {known}" if added.known else new
