"""Clients: the list, one of them with all that was sent to him, adding, changing, deleting."""

from __future__ import annotations

import json
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from mailservice.database import transaction
from mailservice.sending import conditions
from mailservice.services import clients, consents, filters, tags, timeline, unsubscribing
from mailservice.web import paging
from mailservice.web.clients import blueprint, words
from mailservice.web.clients.forms import ClientForm, ConditionsForm, mailings_named
from mailservice.web.forms import errors_beside, page
from mailservice.web.suppressions import words as stops


@blueprint.get("")
def index():
    form = ConditionsForm(request.args)
    form.offer(current_user, also=mailings_named(request.args))
    wanted = form.read(current_user)
    found = None if wanted is None else clients.search(current_user, wanted=wanted, **paging.asked())
    shown = found.items if found else []
    return render_template(
        "clients/index.html",
        form=form,
        asked={name: value for name, value in request.args.items() if name in form.data},
        page=found,
        parts=words.parts(current_user, wanted) if wanted else [],
        wanted=json.dumps(conditions.as_json(wanted)) if wanted else "",
        tags=tags.of_clients([client.id for client in shown]),
        suppressed=clients.suppressed(current_user, shown),
        saved=filters.choices(current_user),
        known_tags=tags.names(current_user),
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new():
    form = ClientForm()
    if form.validate_on_submit():
        with errors_beside(form), transaction():
            client = clients.create(current_user, **_values(form))
        if not form.errors:
            flash(_("%(email)s is among your clients now.", email=client.email))
            return redirect(url_for(".index"))
    return page("clients/edit.html", form, client=None, known_tags=tags.names(current_user))


@blueprint.get("/<int:client_id>")
def show(client_id: int):
    client = clients.own(current_user, client_id)
    standing = unsubscribing.standing(client.owner_id, email_normalised=client.email_normalised)
    found = timeline.of(client, **paging.asked())
    proof = consents.proof(client.owner_id, client.email_normalised)
    carried = tags.of_clients([client_id]).get(client_id, [])
    return render_template(
        "clients/show.html", client=client, standing=standing, page=found, proof=proof, tags=carried, w=stops
    )


@blueprint.route("/<int:client_id>/edit", methods=["GET", "POST"])
def edit(client_id: int):
    client = clients.own(current_user, client_id)
    form = ClientForm(obj=client, tagged=", ".join(tags.of_clients([client_id]).get(client_id, [])))
    if form.validate_on_submit():
        with errors_beside(form), transaction():
            clients.change(clients.own(current_user, client_id), **_values(form))
        if not form.errors:
            flash(_("The changes are saved."))
            return redirect(url_for(".show", client_id=client_id))
    client = clients.own(current_user, client_id)
    return page("clients/edit.html", form, client=client, known_tags=tags.names(current_user))


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
        "tagged": form.tagged.data or "",
    }
