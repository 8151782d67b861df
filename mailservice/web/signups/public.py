"""What everybody sees of an owner's sign-up form: the form, “look into your mailbox”, and the letter's link.

The answers are the same for every address, known or not. A robot gets no letter sent: it falls for the hidden field,
or is too quick, or asks too often; and without the click in the letter nothing happens at all.
"""

from __future__ import annotations

from flask import Blueprint, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from werkzeug.wrappers import Response

from mailservice import account_mail
from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.extensions import csrf
from mailservice.models import SignUp
from mailservice.models import SignUpForm as Offered
from mailservice.services import signups
from mailservice.services.account_letters import AccountLetter
from mailservice.web import limits, outside
from mailservice.web.forms import errors_beside
from mailservice.web.security import public
from mailservice.web.signups.forms import SignUpForm

blueprint = Blueprint("join", __name__, url_prefix="/join")


@blueprint.get("/<key>")
@public
def show(key: str) -> ResponseReturnValue:
    return _form(signups.open_form(key), SignUpForm())


# Without a CSRF token: forms on owners' own sites post here. All that it does is a letter to the address, limited.
@blueprint.post("/<key>")
@csrf.exempt
@public
@limits.each_network("30 per hour")
@limits.each_account("5 per hour")
def ask(key: str) -> ResponseReturnValue:
    """A form that was not shown here, or not for long, is shown here first: one more click for a person."""
    offered = signups.open_form(key)
    with force_locale(offered.language):
        form = SignUpForm()
        if not form.validate() or not signups.was_read(offered, form.shown.data or "", secret=_secret()):
            return _form(offered, form, 422)
        if not form.website.data:
            with errors_beside(form):
                _ask(offered, form)
        return _form(offered, form, 422) if form.errors else _page("signups/asked.html", offered, email=form.email.data)


def _ask(offered: Offered, form: SignUpForm) -> None:
    with transaction():
        row = signups.ask(
            signups.open_form(offered.key),
            email=form.email.data,
            full_name=form.full_name.data or "",
            address=request.remote_addr,
            browser=request.user_agent.string,
        )
    account_mail.ring(AccountLetter.SIGN_UP, row.owner_id, row.id)


@blueprint.get("/confirm/<token>")
@public
def look(token: str) -> ResponseReturnValue:
    """Asks, and changes nothing: mail scanners and previews follow links."""
    try:
        return _confirmation(signups.asked(token, secret=_secret()), token)
    except Refused as error:
        return _dead(error)


@blueprint.post("/confirm/<token>")
@csrf.exempt  # the token in the address is the proof, and the letter may be opened in any browser
@public
def confirm(token: str) -> ResponseReturnValue:
    try:
        row = signups.asked(token, secret=_secret())
        owner, email = row.owner, row.email
        with transaction():
            turn = signups.confirm(
                token, secret=_secret(), address=request.remote_addr, browser=request.user_agent.string
            )
    except Refused as error:
        return _dead(error)
    offered = signups.form_of(owner)
    return _page("signups/confirmed.html", offered, email=email, turn=turn.value, sender=owner.full_name)


def _form(offered: Offered, form: SignUpForm, code: int = 200) -> Response:
    stamp = signups.stamp(offered, secret=_secret())
    return _page("signups/form.html", offered, code, form=form, stamp=stamp)


def _confirmation(row: SignUp, token: str) -> Response:
    offered = signups.form_of(row.owner)
    return _page("signups/confirm.html", offered, row=row, token=token)


def _page(template: str, offered: Offered | None, code: int = 200, **context: object) -> Response:
    """In the form's language, in which its own words are."""
    with force_locale(offered.language if offered else None):
        return outside.private(make_response(render_template(template, offered=offered, **context), code))


def _dead(error: Refused) -> Response:
    return outside.private(make_response(render_template("signups/dead.html", message=error.message), 410))


def _secret() -> str:
    return str(current_app.config["SECRET_KEY"])
