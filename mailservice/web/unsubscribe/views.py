"""The link in every letter: no more mail from its sender, with one click and without signing in."""

from __future__ import annotations

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from werkzeug.wrappers import Response

from mailservice.database import transaction
from mailservice.errors import Invalid
from mailservice.extensions import csrf
from mailservice.models import LeavingReason, SuppressionReason
from mailservice.services import unsubscribing
from mailservice.web import language, limits, outside
from mailservice.web.security import public
from mailservice.web.suppressions import words

blueprint = Blueprint("unsubscribe", __name__, url_prefix="/u")
ONE_CLICK = "One-Click"  # RFC 8058


@blueprint.get("/<token>")
@public
def show(token: str) -> ResponseReturnValue:
    """Asks, and changes nothing: mail scanners and previews follow links."""
    read = _read(token)
    return _page(token, *read) if read else _wrong()


# Without a CSRF token: mail providers post here from their own servers (RFC 8058). The signed token in the
# address is the proof, and who does not hold it can do nothing.
@blueprint.post("/<token>")
@csrf.exempt
@public
def unsubscribe(token: str) -> ResponseReturnValue:
    read = _read(token)
    if read is None:
        return _wrong()
    with transaction():
        unsubscribing.unsubscribe(read[0], email_normalised=read[1], address=request.remote_addr)
    if request.form.get("List-Unsubscribe") == ONE_CLICK:
        return _page(token, *read)
    return redirect(url_for(".show", token=token), 303)


@blueprint.post("/<token>/why")
@csrf.exempt
@public
@limits.each_network("60 per hour")
def say_why(token: str) -> ResponseReturnValue:
    """For the owner to read; nobody has to."""
    read = _read(token)
    if read is None:
        return _wrong()
    leaving, said = _leaving(request.form.get("leaving", "")), request.form.get("said", "")
    try:
        with transaction():
            unsubscribing.say_why(
                read[0], email_normalised=read[1], leaving=leaving, said=said, address=request.remote_addr
            )
    except Invalid as error:
        return _page(token, *read, error=error.message, leaving=leaving, said=said)
    return redirect(url_for(".show", token=token, told=1), 303)


@blueprint.post("/<token>/back")
@csrf.exempt
@public
@limits.each_network("60 per hour")
def take_back(token: str) -> ResponseReturnValue:
    """“This was a mistake.”"""
    read = _read(token)
    if read is None:
        return _wrong()
    with transaction():
        unsubscribing.take_back(read[0], email_normalised=read[1], address=request.remote_addr)
    return redirect(url_for(".show", token=token, back=1), 303)


def _read(token: str) -> tuple[int, str] | None:
    return unsubscribing.read(token, secret_key=str(current_app.config["SECRET_KEY"]))


def _leaving(text: str) -> LeavingReason | None:
    return LeavingReason(text) if text in set(LeavingReason) else None


def _page(token: str, owner_id: int, email: str, *, error: str = "", **typed: object) -> Response:
    row = unsubscribing.standing(owner_id, email_normalised=email)
    done = row is not None and row.reason is SuppressionReason.UNSUBSCRIBED
    sender = unsubscribing.sender(owner_id)
    with force_locale(language.of_reader(sender.language if sender else None)):
        page = render_template(
            "unsubscribe/show.html",
            token=token,
            email=email,
            sender=sender.full_name if sender else "",
            done=done,
            back="back" in request.args and not done,
            told="told" in request.args,
            standing=row,
            reasons=words.LEAVING,
            error=error,
            typed=typed,
        )
    return outside.private(make_response(page, 422 if error else 200))


def _wrong() -> Response:
    return outside.private(make_response(render_template("unsubscribe/wrong.html"), 404))
