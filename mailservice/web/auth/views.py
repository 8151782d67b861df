"""Registering, signing in and out, the language."""

from __future__ import annotations

from flask import abort, current_app, flash, redirect, render_template, request, session, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_login import current_user, login_user, logout_user

from config import LANGUAGES
from mailservice import account_mail
from mailservice.database import transaction
from mailservice.models import User
from mailservice.services import accounts
from mailservice.services.account_letters import AccountLetter
from mailservice.web.auth import blueprint, forms
from mailservice.web.auth.own_path import own_path
from mailservice.web.forms import errors_beside, page
from mailservice.web.security import public


@blueprint.route("/register", methods=["GET", "POST"])
@public
def register():
    """The answer is the same for a new address and for a known one; what differs is the letter."""
    form = forms.RegisterForm()
    if form.validate_on_submit():
        with errors_beside(form):
            registration = _register(form)
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


def _register(form: forms.RegisterForm) -> accounts.Registration:
    values = {"email": form.email.data, "full_name": form.full_name.data or ""}
    password_hash = accounts.check_registration(password=form.password.data, **values)
    zone = accounts.known_zone(form.time_zone.data) or current_app.config["SETTINGS"].default_time_zone
    with transaction():
        return accounts.register(password_hash=password_hash, language=str(get_locale()), time_zone=zone, **values)


@blueprint.route("/sign-in", methods=["GET", "POST"])
@public
def sign_in():
    if current_user.is_authenticated:
        return redirect(own_path(request.args.get("next")) or url_for("home.index"))
    form = forms.SignInForm(next=request.args.get("next"))
    if form.validate_on_submit():
        with errors_beside(form):
            user = accounts.authenticate(email=form.email.data, password=form.password.data)
            _begin_session(user, remember=form.remember.data)
        if not form.errors:
            return redirect(own_path(form.next.data) or url_for("home.index"))
    return page("auth/sign_in.html", form)


def _begin_session(user: User, *, remember: bool) -> None:
    """Nothing of the visitor's session before survives, but the pages keep speaking as they did."""
    spoken = session.get("language", user.language)
    session.clear()
    session["language"] = spoken
    login_user(user, remember=remember)


@blueprint.post("/sign-out")
@public
def sign_out():
    """For everybody: a session that has just ended elsewhere must not end in an error."""
    spoken = session.get("language")
    logout_user()
    session_cookie = session.pop("_remember", None)  # Flask-Login's order to delete its cookie
    session.clear()
    if session_cookie:
        session["_remember"] = session_cookie
    if spoken:
        session["language"] = spoken
    response = redirect(url_for("home.index"))
    config = current_app.config
    # Flask-Login deletes its cookie without Secure, which browsers ignore for one named __Host-.
    response.delete_cookie(
        config["REMEMBER_COOKIE_NAME"], secure=config["REMEMBER_COOKIE_SECURE"], httponly=True, samesite="Lax"
    )
    return response


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
def resend():
    """The letter with the link once more, for the signed-in who have not confirmed yet."""
    if not current_user.is_confirmed:
        account_mail.ring(AccountLetter.CONFIRM, current_user.id)
        flash(_("The letter is on its way to %(email)s.", email=current_user.email))
    return redirect(url_for("home.index"))
