"""The owner's side of his sign-up form: its words, and what to put on his own site."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from flask_login import current_user

from mailservice.database import transaction
from mailservice.models import SignUpForm
from mailservice.services import signups
from mailservice.web.forms import errors_beside, page
from mailservice.web.signups.forms import SettingsForm

blueprint = Blueprint("signups", __name__, url_prefix="/sign-up-form")


@blueprint.route("", methods=["GET", "POST"])
def settings() -> ResponseReturnValue:
    kept = signups.form_of(current_user)
    form = SettingsForm(obj=kept) if kept else SettingsForm(data=_suggested())
    if form.validate_on_submit():
        texts = {name: form[name].data or "" for name in ("title", "text", "consent_text", "language")}
        with errors_beside(form), transaction():
            signups.save_form(current_user, is_open=form.is_open.data, address=request.remote_addr, **texts)
        if not form.errors:
            flash(_("The changes are saved."))
            return redirect(url_for(".settings"))
        kept = signups.form_of(current_user)
    url = _public_url(kept) if kept else ""
    return page("signups/settings.html", form, kept=kept, url=url, snippet=_snippet(kept, url) if kept else "")


def _suggested() -> dict[str, str]:
    """Words to begin with."""
    return {
        "title": _("Our news by e-mail"),
        "consent_text": _("I agree to get letters at this address. I can unsubscribe with one click in every letter."),
        "language": str(get_locale()),
    }


def _public_url(form: SignUpForm) -> str:
    return str(current_app.config["SETTINGS"].public_url) + url_for("join.show", key=form.key)


def _snippet(form: SignUpForm, url: str) -> str:
    """Plain HTML for any page: neither script nor style, and its address is the page that takes over."""
    with force_locale(form.language):
        return current_app.jinja_env.get_template("signups/snippet.html").render(form=form, url=url)
