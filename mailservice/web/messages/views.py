"""Messages: list, page with a preview, form, test letter, copying, deleting."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from mailservice import account_mail
from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.models import Message
from mailservice.services import messages, proofs, texts
from mailservice.web import forms, limits, paging
from mailservice.web.messages import looking
from mailservice.web.messages.forms import KINDS, MessageForm, TestForm

blueprint = Blueprint("messages", __name__, url_prefix="/messages")


@blueprint.get("")
def index() -> ResponseReturnValue:
    words = texts.search_words(request.args.get("q"))
    page = messages.search(current_user, words=words, **paging.asked())
    used_in = messages.used_in([message for message, uses, _beginning in page.items if uses])
    return render_template("messages/index.html", page=page, words=words, used_in=used_in, kinds=KINDS)


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = MessageForm()
    if "check" not in request.form and form.validate_on_submit():
        with forms.errors_beside(form), transaction():
            message = messages.create(current_user, **form.values())
        if not form.errors:
            flash(_("The message is saved."))
            return redirect(url_for(".show", message_id=message.id))
    return _form_page(form, None)


@blueprint.get("/<int:message_id>")
def show(message_id: int) -> ResponseReturnValue:
    message = messages.own(current_user, message_id)
    return _message_page(message, TestForm(email=current_user.email))


@blueprint.get("/<int:message_id>/preview")
def preview(message_id: int) -> ResponseReturnValue:
    """The letter's HTML alone, for the frame on the message's page."""
    return looking.frame(looking.saved(messages.own(current_user, message_id)))


@blueprint.route("/<int:message_id>/edit", methods=["GET", "POST"])
def edit(message_id: int) -> ResponseReturnValue:
    message = messages.own(current_user, message_id)
    form = MessageForm(obj=message)
    form.start(message)
    if "check" not in request.form and form.validate_on_submit():
        with forms.errors_beside(form), transaction():
            message = messages.own(current_user, message_id)
            messages.update(message, **form.values())
        if not form.errors:
            flash(_("The message is saved."))
            return redirect(url_for(".show", message_id=message_id))
    return _form_page(form, message)


@blueprint.route("/<int:message_id>/test", methods=["GET", "POST"])
@limits.each_user("20 per hour")
def test_send(message_id: int) -> ResponseReturnValue:
    message = messages.own(current_user, message_id)
    form = TestForm(email=current_user.email)
    if form.validate_on_submit():
        with forms.errors_beside(form):
            reply = _send_test(message, form.email.data or "")
        if not form.errors:
            sent_to = form.email.data
            flash(_("The test letter to %(email)s is accepted. The mail server: %(reply)s", email=sent_to, reply=reply))
            query = looking.seen().query
            return redirect(url_for(".show", message_id=message_id, _anchor="test", **query))  # type: ignore[arg-type]
    return _message_page(messages.own(current_user, message_id), form)


@blueprint.post("/<int:message_id>/duplicate")
def duplicate(message_id: int) -> ResponseReturnValue:
    with transaction():
        copy = messages.duplicate(messages.own(current_user, message_id))
    flash(_("This is the copy. Change it as you like."))
    return redirect(url_for(".edit", message_id=copy.id))


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


def _send_test(message: Message, email: str) -> str:
    """The mail server's answer; Refused with its words when it did not take the letter."""
    settings = current_app.config["SETTINGS"]
    letter = proofs.build(
        current_user,
        message,
        to=email,
        reader=looking.seen().reader,
        sender=settings.mail_sender,
        public_url=settings.public_url,
    )
    message_id = message.id
    try:
        reply = account_mail.send_proof(letter)
    except account_mail.NotSent as error:
        raise Refused(_("The test letter was not sent. The mail server: %(reply)s", reply=str(error))) from None
    with transaction():
        proofs.note(current_user, messages.own(current_user, message_id), to=email, address=request.remote_addr)
    return reply


def _message_page(message: Message, form: TestForm) -> ResponseReturnValue:
    look, used_by = looking.saved(message), messages.used_by(message)
    return forms.page("messages/show.html", form, message=message, look=look, used_by=used_by, kinds=KINDS)


def _form_page(form: MessageForm, message: Message | None) -> ResponseReturnValue:
    asked = form.is_submitted() or message is not None
    look = looking.draft(form.values()) if asked else None
    return forms.page("messages/form.html", form, message=message, look=look, checking="check" in request.form)
