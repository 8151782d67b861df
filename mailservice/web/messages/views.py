"""Messages: list, page with a preview, form, deleting."""

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.services import messages, texts
from mailservice.web import forms, paging
from mailservice.web.messages.forms import MessageForm

blueprint = Blueprint("messages", __name__, url_prefix="/messages")

# The framed letter may look as it likes and load pictures; it runs nothing and is framed by us alone.
PREVIEW_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src https: data:; frame-ancestors 'self'; sandbox"


@blueprint.get("")
def index() -> ResponseReturnValue:
    words = texts.search_words(request.args.get("q"))
    page = messages.search(current_user, words=words, **paging.asked())
    return render_template("messages/index.html", page=page, words=words)


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = MessageForm()
    if form.validate_on_submit():
        with forms.errors_beside(form), transaction():
            message = messages.create(current_user, subject=form.subject.data, body=form.body.data)
        if not form.errors:
            flash(_("The message is saved."))
            return redirect(url_for(".show", message_id=message.id))
    return forms.page("messages/form.html", form, message=None)


@blueprint.get("/<int:message_id>")
def show(message_id: int) -> ResponseReturnValue:
    message = messages.own(current_user, message_id)
    preview = messages.preview(message, **_reader())
    used_by = messages.used_by(message)
    return render_template("messages/show.html", message=message, preview=preview, used_by=used_by)


@blueprint.get("/<int:message_id>/preview")
def preview(message_id: int) -> ResponseReturnValue:
    """The letter's HTML alone, for the frame on the message's page."""
    response = make_response(messages.preview(messages.own(current_user, message_id), **_reader()).html)
    response.headers["Content-Security-Policy"] = PREVIEW_POLICY
    return response


@blueprint.route("/<int:message_id>/edit", methods=["GET", "POST"])
def edit(message_id: int) -> ResponseReturnValue:
    message = messages.own(current_user, message_id)
    form = MessageForm(obj=message)
    if form.validate_on_submit():
        with forms.errors_beside(form), transaction():
            message = messages.own(current_user, message_id)
            messages.update(message, subject=form.subject.data, body=form.body.data)
        if not form.errors:
            flash(_("The message is saved."))
            return redirect(url_for(".show", message_id=message_id))
    return forms.page("messages/form.html", form, message=message)


@blueprint.post("/<int:message_id>/delete")
def delete(message_id: int) -> ResponseReturnValue:
    try:
        with transaction():
            messages.delete(messages.own(current_user, message_id, lock=True))
    except Refused as error:
        flash(error.message, "error")
        return redirect(url_for(".show", message_id=message_id))
    flash(_("The message is deleted."))
    return redirect(url_for(".index"))


def _reader() -> dict[str, str]:
    """Who reads the preview: somebody with a full name and a comment."""
    return {
        "full_name": current_user.full_name or _("Anna Petrova"),
        "email": current_user.email,
        "comment": _("(the client's comment)"),
    }
