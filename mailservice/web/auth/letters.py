"""What the links of the account letters lead to. A GET changes nothing: scanners of mail open links too."""

from __future__ import annotations

from flask import current_app, flash, redirect, render_template, url_for
from flask_babel import gettext as _

from mailservice import account_mail
from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.services import accounts, passwords, tokens
from mailservice.services.account_letters import AccountLetter
from mailservice.web.auth import blueprint, forms
from mailservice.web.forms import errors_beside, page
from mailservice.web.security import public


def _secret() -> str:
    return str(current_app.config["SECRET_KEY"])


@blueprint.route("/confirm/<token>", methods=["GET", "POST"])
@public
def confirm(token: str):
    form = forms.ConfirmForm()
    try:
        user = tokens.user_of(token, purpose=tokens.Purpose.CONFIRM, secret=_secret())
        if form.validate_on_submit():
            with transaction():
                accounts.confirm(token, secret=_secret())
            flash(_("Your address is confirmed. Sign in."))
            return redirect(url_for(".sign_in"))
    except Refused as error:
        return render_template("auth/dead_link.html", message=error.message), 410
    return page("auth/confirm.html", form, email=user.email)


@blueprint.route("/forgot", methods=["GET", "POST"])
@public
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
            with errors_beside(form):
                passwords.acceptable(form.password.data, email=user.email)
            if not form.errors:
                return _set_password(token, form.password.data)
    except Refused as error:
        return render_template("auth/dead_link.html", message=error.message), 410
    return page("auth/reset.html", form, email=user.email)


def _set_password(token: str, password: str):
    password_hash = passwords.hashed(password)
    with transaction():
        accounts.reset_password(token, password_hash=password_hash, secret=_secret())
    flash(_("The new password is set, and you are signed out everywhere else. Sign in with it."))
    return redirect(url_for(".sign_in"))
