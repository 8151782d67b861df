"""What the links of the account letters lead to. A GET changes nothing: scanners of mail open links too."""

from __future__ import annotations

import hmac

from flask import current_app, flash, g, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from flask_login import current_user

from mailservice import account_mail
from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.models import User
from mailservice.services import accounts, new_address, passwords, sessions, tokens
from mailservice.services.account_letters import AccountLetter
from mailservice.web import browser_session, limits
from mailservice.web.auth import blueprint, forms
from mailservice.web.forms import errors_beside, page
from mailservice.web.security import public


def _secret() -> str:
    return str(current_app.config["SECRET_KEY"])


@blueprint.route("/confirm/<token>", methods=["GET", "POST"])
@public
def confirm(token: str):
    """One click in the browser that registered; in any other one the password is chosen, too.

    Whoever registered with somebody else's address must not keep a password to it.
    """
    try:
        user = tokens.user_of(token, purpose=tokens.Purpose.CONFIRM, secret=_secret())
        knows_password = _knows_password(user)
        form = forms.ConfirmForm() if knows_password else forms.NewPasswordForm()
        if form.validate_on_submit():
            password_hash = None if knows_password else _new_hash(form, user.email)
            if not form.errors:
                return _confirm(token, password_hash)
    except Refused as error:
        return render_template("auth/dead_link.html", message=error.message), 410
    return page("auth/confirm.html", form, email=user.email, knows_password=knows_password)


def _knows_password(user: User) -> bool:
    """Whether the password that stands was chosen in this browser, or has been typed in it."""
    if current_user.is_authenticated and current_user.id == user.id:
        return True
    mark = tokens.registration_mark(user, _secret())
    return hmac.compare_digest(str(session.get("registered", "")), mark)


def _confirm(token: str, password_hash: str | None):
    with transaction():
        accounts.confirm(token, secret=_secret(), password_hash=password_hash, address=request.remote_addr)
    session.pop("registered", None)
    if current_user.is_authenticated:
        flash(_("Your address is confirmed."))
        return redirect(url_for("home.index"))
    flash(_("Your address is confirmed. Sign in."))
    return redirect(url_for(".sign_in"))


def _new_hash(form: forms.NewPasswordForm, email: str) -> str | None:
    """The hash of the password that was typed; None when the form says what is wrong with it."""
    with errors_beside(form):
        return passwords.hashed(passwords.acceptable(form.password.data, email=email))
    return None


@blueprint.route("/address/<token>", methods=["GET", "POST"])
def address(token: str):
    """For whoever is signed in to the account that asked: another one must not get hold of this address."""
    form = forms.ConfirmForm()
    try:
        user = tokens.user_of(token, purpose=tokens.Purpose.ADDRESS, secret=_secret())
        if form.validate_on_submit():
            with transaction():
                new_address.confirm(current_user, token, secret=_secret(), address=request.remote_addr)
                row = sessions.renew(current_user, g.user_session)
            browser_session.enter(row)
            flash(_("Your address is %(email)s now. Everywhere else you are signed out.", email=current_user.email))
            return redirect(url_for("account.index"))
        new_address.check_owner(user, current_user)
    except Refused as error:
        return render_template("auth/dead_link.html", message=error.message), 410
    return page("auth/address.html", form, email=user.new_email)


@blueprint.route("/forgot", methods=["GET", "POST"])
@public
@limits.each_network("20 per hour")
@limits.each_account("5 per hour")
def forgot():
    """Says the same for every address, and does the same: a letter for nobody is dropped by its job."""
    form = forms.EmailForm()
    if form.validate_on_submit():
        user = accounts.find(form.email.data)
        account_mail.ring(AccountLetter.RESET, user.id if user else 0)
        return render_template("auth/reset_sent.html", email=form.email.data)
    return page("auth/forgot.html", form)


@blueprint.route("/reset/<token>", methods=["GET", "POST"])
@public
def reset(token: str):
    form = forms.NewPasswordForm()
    try:
        user = tokens.user_of(token, purpose=tokens.Purpose.RESET, secret=_secret())
        if form.validate_on_submit():
            password_hash = _new_hash(form, user.email)
            if password_hash:
                return _set_password(token, password_hash)
    except Refused as error:
        return render_template("auth/dead_link.html", message=error.message), 410
    return page("auth/reset.html", form, email=user.email)


def _set_password(token: str, password_hash: str):
    with transaction():
        accounts.reset_password(token, password_hash=password_hash, secret=_secret(), address=request.remote_addr)
    flash(_("The new password is set, and you are signed out everywhere else. Sign in with it."))
    return redirect(url_for(".sign_in"))
