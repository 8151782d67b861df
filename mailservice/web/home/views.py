"""The first page: what this is and the way in for a visitor, what matters now for the signed-in."""

from contextlib import suppress

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_login import current_user

from mailservice import clock
from mailservice.services import dashboard, recent, watching
from mailservice.services.mailings import Phase
from mailservice.services.recent import Period
from mailservice.web import paging
from mailservice.web.blog import kept
from mailservice.web.home import blueprint
from mailservice.web.home import words as home_words
from mailservice.web.mailings import servers
from mailservice.web.security import public


@blueprint.get("/")
@public
def index():
    shown = {"numbers": kept.numbers(), "posts": kept.choice(str(get_locale()))}
    if not current_user.is_authenticated:
        return render_template("home/landing.html", **shown)
    board = dashboard.of(current_user, servers=servers.names())
    return render_template("home/dashboard.html", board=board, home_words=home_words, Phase=Phase, **shown)


@blueprint.get("/live")
def live() -> ResponseReturnValue:
    """What is being sent now; 304 where that is what the page has already."""
    running = watching.active(current_user, servers=servers.names(), now=clock.now())
    response = make_response(render_template("home/_running.html", running=running))
    response.add_etag()
    return response.make_conditional(request)


@blueprint.get("/sent")
def sent() -> ResponseReturnValue:
    """The attempts behind a number of the dashboard."""
    period, now = Period.TODAY, clock.now()
    with suppress(ValueError):
        period = Period(request.args.get("period", ""))
    page = recent.attempts(current_user, period, now, **paging.asked())
    return render_template(
        "home/sent.html",
        page=page,
        period=period,
        home_words=home_words,
        sent=recent.sent(current_user, now),
        since=recent.begins(period, current_user.time_zone, now),
    )
