"""The first page: what this is and the way in for a visitor, what matters now for the signed-in."""

from flask import render_template
from flask_babel import get_locale
from flask_login import current_user

from mailservice.services import dashboard
from mailservice.web.blog import kept
from mailservice.web.home import blueprint
from mailservice.web.security import public


@blueprint.get("/")
@public
def index():
    shown = {"numbers": kept.numbers(), "posts": kept.choice(str(get_locale()))}
    if not current_user.is_authenticated:
        return render_template("home/landing.html", **shown)
    return render_template("home/dashboard.html", board=dashboard.of(current_user), **shown)
