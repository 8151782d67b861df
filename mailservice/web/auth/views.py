"""Registering, signing in and out, the language."""

from __future__ import annotations

import secrets

from flask import abort, current_app, flash, g, redirect, render_template, request, session, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user

from config import LANGUAGES
from mailservice import account_mail
from mailservice.database import transaction
from mailservice.services import accounts, sessions, tokens
from mailservice.services.account_letters import AccountLetter
from mailservice.web import browser_session, limits
from mailservice.web.auth import blueprint, forms
from mailservice.web.auth.own_path import own_path
from mailservice.web.forms import errors_beside, page
from mailservice.web.security import public


@blueprint.route("/register", methods=["GET", "POST"])
@public
@limits.each_network("30 per hour")
@limits.each_account("5 per hour")
def register():
    """The answer is the same for a new address and for a known one; what differs is the letter."""
    form = forms.RegisterForm()
    if form.validate_on_submit():
        with errors_beside(form):
            registration = _register(form)
            session["registered"] = _mark(registration)
            account_mail.ring(_letter_for(registration), registration.user.id)
        if not form.errors:
            return render_template("auth/letter_sent.html", email=form.email.data)
    return page("auth/register.html", form)


def _letter_for(registration: accounts.Registration) -> AccountLetter:
    """Who registers again before confirming chooses the password anew by letter, which proves the address.

    The password that stands there may be a stranger's, who was quicker with this address.
    """
    if registration.is_new:
        return AccountLetter.CONFIRM
    return AccountLetter.EXISTS if registration.user.is_confirmed else AccountLetter.RESET


def _mark(registration: accounts.Registration) -> str:
    """What the browser that registered shows when it confirms; it tells nobody whether the address was known."""
    if registration.is_new:
        return tokens.registration_mark(registration.user, str(current_app.config["SECRET_KEY"]))
    return secrets.token_hex(tokens.DIGEST_LENGTH // 2)


def _register(form: forms.RegisterForm) -> accounts.Registration:
    values = {"email": form.email.data, "full_name": form.full_name.data or ""}
    password_hash = accounts.check_registration(password=form.password.data, **values)
    zone = accounts.known_zone(form.time_zone.data) or current_app.config["SETTINGS"].default_time_zone
    with transaction():
        return accounts.register(
            password_hash=password_hash,
            language=str(get_locale()),
            time_zone=zone,
            address=request.remote_addr,
            **values,
        )


@blueprint.route("/sign-in", methods=["GET", "POST"])
@public
@limits.each_network("60 per 5 minutes")
@limits.each_account_and_network("10 per 5 minutes")
def sign_in():
    if current_user.is_authenticated:
        return redirect(own_path(request.args.get("next")) or url_for("home.index"))
    form = forms.SignInForm(next=request.args.get("next"))
    if form.validate_on_submit():
        with errors_beside(form):
            proof = accounts.authenticate(email=form.email.data, password=form.password.data)
            with transaction():
                row = accounts.sign_in(proof, remembered=form.remember.data, **browser_session.origin())
            browser_session.enter(row)
        if not form.errors:
            return redirect(own_path(form.next.data) or url_for("home.index"))
    return page("auth/sign_in.html", form)


@blueprint.post("/sign-out")
@public
def sign_out():
    """For everybody: a session that has just ended elsewhere must not end in an error."""
    if current_user.is_authenticated:
        with transaction():
            sessions.end(current_user, g.user_session.id, address=request.remote_addr)
    browser_session.leave()
    return redirect(url_for("home.index"))


@blueprint.post("/language")
@public
def language():
    chosen = request.form.get("language")
    if chosen not in LANGUAGES:
        abort(400)
    session["language"] = chosen
    if current_user.is_authenticated:
        with transaction():
            accounts.choose_language(current_user, language=chosen)
    return redirect(own_path(request.form.get("next")) or url_for("home.index"))


@blueprint.post("/resend")
@limits.each_user("5 per hour")
def resend():
    """The letter with the link once more, for the signed-in who have not confirmed yet."""
    if not current_user.is_confirmed:
        account_mail.ring(AccountLetter.CONFIRM, current_user.id)
        flash(_("The letter is on its way to %(email)s.", email=current_user.email))
    return redirect(url_for("home.index"))
