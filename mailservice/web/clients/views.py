"""Clients: the list, one of them with all that was sent to him, adding, changing, deleting."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from mailservice.database import transaction
from mailservice.services import clients, consents, texts, timeline, unsubscribing
from mailservice.web import paging
from mailservice.web.clients import blueprint
from mailservice.web.clients.forms import ClientForm
from mailservice.web.forms import errors_beside, page
from mailservice.web.suppressions import words


@blueprint.get("")
def index():
    words = texts.search_words(request.args.get("q"))
    found = clients.search(current_user, words=words, **paging.asked())
    return render_template("clients/index.html", page=found, words=words)


@blueprint.route("/new", methods=["GET", "POST"])
def new():
    form = ClientForm()
    if form.validate_on_submit():
        with errors_beside(form), transaction():
            client = clients.create(current_user, **_values(form))
        if not form.errors:
            flash(_("%(email)s is among your clients now.", email=client.email))
            return redirect(url_for(".index"))
    return page("clients/edit.html", form, client=None)


@blueprint.get("/<int:client_id>")
def show(client_id: int):
    client = clients.own(current_user, client_id)
    standing = unsubscribing.standing(client.owner_id, email_normalised=client.email_normalised)
    found = timeline.of(client, **paging.asked())
    proof = consents.proof(client.owner_id, client.email_normalised)
    return render_template("clients/show.html", client=client, standing=standing, page=found, proof=proof, w=words)


@blueprint.route("/<int:client_id>/edit", methods=["GET", "POST"])
def edit(client_id: int):
    client = clients.own(current_user, client_id)
    form = ClientForm(obj=client)
    if form.validate_on_submit():
        with errors_beside(form), transaction():
            clients.change(clients.own(current_user, client_id), **_values(form))
        if not form.errors:
            flash(_("The changes are saved."))
            return redirect(url_for(".show", client_id=client_id))
    return page("clients/edit.html", form, client=clients.own(current_user, client_id))


@blueprint.post("/<int:client_id>/delete")
def delete(client_id: int):
    with transaction():
        email = clients.delete(clients.own(current_user, client_id))
    flash(_("%(email)s is deleted.", email=email))
    return redirect(url_for(".index"))


def _values(form: ClientForm) -> dict[str, Any]:
    return {
        "email": form.email.data or "",
        "full_name": form.full_name.data or "",
        "comment": form.comment.data or "",
    }
