"""Tags: the list, renaming, merging, deleting."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_login import current_user
from wtforms import SelectChoice

from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.services import tags
from mailservice.web.clients import blueprint
from mailservice.web.clients.forms import MergeTagForm, TagForm
from mailservice.web.forms import errors_beside, options, page


@blueprint.get("/tags")
def list_tags():
    return render_template("clients/tags.html", lines=tags.listed(current_user))


@blueprint.get("/tags/<int:tag_id>")
def tag(tag_id: int):
    return _page(tag_id, TagForm(obj=tags.own(current_user, tag_id)), MergeTagForm())


@blueprint.post("/tags/<int:tag_id>/rename")
def rename_tag(tag_id: int):
    found, form = tags.own(current_user, tag_id), TagForm()
    if form.validate():
        with errors_beside(form), transaction():
            found = tags.rename(current_user, tags.own(current_user, tag_id), name=form.name.data)
        if not form.errors:
            flash(_("The tag is called “%(name)s” now.", name=found.name))
            return redirect(url_for(".list_tags"))
    return _page(tag_id, form, MergeTagForm(formdata=None))


@blueprint.post("/tags/<int:tag_id>/merge")
def merge_tag(tag_id: int):
    found, form = tags.own(current_user, tag_id), MergeTagForm()
    name = found.name
    form.into.choices = _others(tag_id)
    if form.validate():
        with errors_beside(form), transaction():
            into = tags.own(current_user, form.into.data)
            tags.merge(current_user, tags.own(current_user, tag_id), into=into)
        if not form.errors:
            flash(_("Clients with “%(tag)s” have “%(into)s” now.", tag=name, into=into.name))
            return redirect(url_for(".list_tags"))
    return _page(tag_id, TagForm(formdata=None, obj=found), form)


@blueprint.post("/tags/<int:tag_id>/delete")
def delete_tag(tag_id: int):
    try:
        with transaction():
            name = tags.delete(current_user, tags.own(current_user, tag_id))
    except Refused as error:
        flash(error.message, "error")
        return redirect(url_for(".tag", tag_id=tag_id))
    flash(_("The tag “%(name)s” is deleted.", name=name))
    return redirect(url_for(".list_tags"))


def _others(tag_id: int) -> list[SelectChoice]:
    return options((line.id, line.name) for line in tags.listed(current_user) if line.id != tag_id)


def _page(tag_id: int, form: TagForm, merging: MergeTagForm):
    found = tags.own(current_user, tag_id)
    merging.into.choices = _others(tag_id)
    carried = next(line.clients for line in tags.listed(current_user) if line.id == tag_id)
    answer, status = page("clients/tag.html", form, tag=found, merging=merging, clients=carried)
    return answer, 422 if merging.errors else status
