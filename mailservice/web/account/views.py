"""One's own account: profile, password, address, sessions, deletion."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from flask_babel import gettext as _
from flask_login import current_user

from mailservice import account_mail
from mailservice.database import transaction
from mailservice.services import accounts, leaving, new_address, passwords, pictures, sessions, zones
from mailservice.services.importing import files
from mailservice.web import browser_session, limits
from mailservice.web.account import browsers
from mailservice.web.account.forms import AddressForm, NewPasswordForm, PasswordForm, ProfileForm
from mailservice.web.forms import errors_beside, page

blueprint = Blueprint("account", __name__, url_prefix="/account")
blueprint.add_app_template_filter(browsers.words, "browser_words")
PASSWORD_TRIES = "10 per 5 minutes"


@blueprint.route("", methods=["GET", "POST"])
def index() -> ResponseReturnValue:
    form = ProfileForm(obj=current_user)
    if form.validate_on_submit():
        values = {name: form[name].data or "" for name in ("full_name", "language", "time_zone")}
        with errors_beside(form), transaction():
            accounts.change_profile(current_user, **values)
        if not form.errors:
            session["language"] = current_user.language
            with force_locale(current_user.language):
                flash(_("The changes are saved."))
            return redirect(url_for(".index"))
    return page("account/index.html", form, zones=zones.offered(), sessions=sessions.of(current_user))


@blueprint.route("/password", methods=["GET", "POST"])
@limits.each_user(PASSWORD_TRIES)
def password() -> ResponseReturnValue:
    form = NewPasswordForm()
    if form.validate_on_submit():
        with errors_beside(form):
            _change_password(form)
        if not form.errors:
            flash(_("The new password is set. Everywhere else you are signed out."))
            return redirect(url_for(".index"))
    return page("account/password.html", form)


def _change_password(form: NewPasswordForm) -> None:
    passwords.acceptable(form.password.data, email=current_user.email)
    proof = accounts.check_password(current_user, form.current_password.data)
    password_hash = passwords.hashed(form.password.data)
    with transaction():
        accounts.change_password(current_user, proof=proof, password_hash=password_hash, address=request.remote_addr)
        row = sessions.renew(current_user, g.user_session)
    browser_session.enter(row)


@blueprint.route("/address", methods=["GET", "POST"])
@limits.each_user(PASSWORD_TRIES)
@limits.each_account("5 per hour")
def address() -> ResponseReturnValue:
    form = AddressForm()
    if form.validate_on_submit():
        with errors_beside(form):
            _ask_for_address(form)
        if not form.errors:
            return redirect(url_for(".address"))
    return page("account/address.html", form)


def _ask_for_address(form: AddressForm) -> None:
    email = new_address.check(current_user, form.email.data).given
    proof = accounts.check_password(current_user, form.current_password.data)
    with transaction():
        letters = new_address.ask(current_user, email, proof=proof, address=request.remote_addr)
    _ring(letters)


@blueprint.post("/address/resend")
@limits.each_user("5 per hour")
@limits.each_new_address("5 per hour")
def resend() -> ResponseReturnValue:
    _ring(new_address.letters_again(current_user))
    return redirect(url_for(".address"))


@blueprint.post("/address/give-up")
def give_up() -> ResponseReturnValue:
    with transaction():
        new_address.give_up(current_user)
    flash(_("Your address stays as it is."))
    return redirect(url_for(".address"))


def _ring(letters: new_address.Letters) -> None:
    for kind, user_id in letters:
        account_mail.ring(kind, user_id)
    if letters:
        flash(_("A letter is on its way to %(email)s.", email=current_user.new_email))


@blueprint.post("/sessions/<int:session_id>/end")
def end_session(session_id: int) -> ResponseReturnValue:
    here = session_id == g.user_session.id
    with transaction():
        sessions.end(current_user, session_id, address=request.remote_addr)
    if here:
        browser_session.leave()
    flash(_("That session has ended."))
    return redirect(url_for(".index", _anchor="sessions"))


@blueprint.post("/sessions/end")
def end_all_sessions() -> ResponseReturnValue:
    with transaction():
        sessions.end_all(current_user, address=request.remote_addr)
    browser_session.leave()
    flash(_("You are signed out everywhere."))
    return redirect(url_for("auth.sign_in"))


@blueprint.route("/delete", methods=["GET", "POST"])
@limits.each_user(PASSWORD_TRIES)
def delete() -> ResponseReturnValue:
    form = PasswordForm()
    if form.validate_on_submit():
        with errors_beside(form):
            proof = accounts.check_password(current_user, form.current_password.data)
            owner_id = current_user.id
            with transaction():
                shown = pictures.files(current_user)
                leaving.delete_account(current_user, proof=proof, address=request.remote_addr)
            files.remove_all_of(current_app.config["SETTINGS"].imports_path, owner_id)
            pictures.remove(shown, folder=pictures.folder(current_app.config["SETTINGS"].images_path))
            browser_session.leave()
        if not form.errors:
            flash(_("Your account is deleted, with everything that was yours."))
            return redirect(url_for("home.index"))
    return page("account/delete.html", form, belongings=leaving.belongings(current_user))
