"""The link in every letter: no more mail from its sender, with one click and without signing in."""

from __future__ import annotations

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from mailservice.database import transaction
from mailservice.extensions import csrf
from mailservice.services import unsubscribing
from mailservice.web.security import public

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
        unsubscribing.unsubscribe(read[0], email_normalised=read[1])
    if request.form.get("List-Unsubscribe") == ONE_CLICK:
        return _page(token, *read)
    return redirect(url_for(".show", token=token), 303)


@blueprint.post("/<token>/back")
@csrf.exempt
@public
def take_back(token: str) -> ResponseReturnValue:
    """“This was a mistake.”"""
    read = _read(token)
    if read is None:
        return _wrong()
    with transaction():
        unsubscribing.take_back(read[0], email_normalised=read[1])
    return redirect(url_for(".show", token=token, back=1), 303)


def _read(token: str) -> tuple[int, str] | None:
    return unsubscribing.read(token, secret_key=str(current_app.config["SECRET_KEY"]))


def _page(token: str, owner_id: int, email: str) -> Response:
    done = unsubscribing.is_unsubscribed(owner_id, email_normalised=email)
    sender = unsubscribing.sender_name(owner_id)
    back = "back" in request.args and not done
    page = render_template("unsubscribe/show.html", token=token, email=email, sender=sender, done=done, back=back)
    return _private(make_response(page))


def _wrong() -> Response:
    return _private(make_response(render_template("unsubscribe/wrong.html"), 404))


def _private(response: Response) -> Response:
    """The address holds the token: it goes to no other site, no cache and no search engine."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
