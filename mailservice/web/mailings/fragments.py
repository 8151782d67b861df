"""Parts of pages for their script: what a schedule will do, clients that match, how a mailing stands now."""

from __future__ import annotations

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mailservice import clock
from mailservice.models import Mailing
from mailservice.services import audiences, forecast, mailings, reports, schedule, texts, watching
from mailservice.services.forecast import Forecast
from mailservice.services.reports import AttemptLine
from mailservice.web.mailings import servers
from mailservice.web.mailings.blueprint import blueprint
from mailservice.web.mailings.forms import When


@blueprint.get("/firings")
def firings() -> ResponseReturnValue:
    """The next firings of what stands in the form."""
    mailing_id = request.args.get("mailing", type=int)
    mailing = mailings.own(current_user, mailing_id) if mailing_id is not None else None
    form = When(request.args, meta={"csrf": False})
    found = ahead(form, has_fired=bool(mailing and schedule.has_fired(mailing)))
    return render_template("mailings/_firings.html", forecast=found, plan=form.plan_or_none())


def ahead(form: When, *, has_fired: bool) -> Forecast | None:
    """None while the form does not say when."""
    plan = form.plan_or_none()
    return forecast.ahead(plan, clock.now(), has_fired=has_fired) if plan else None


@blueprint.get("/clients")
def clients() -> ResponseReturnValue:
    """Clients to tick, by a part of their address or name."""
    words = texts.search_words(request.args.get("find_words"))
    return render_template("mailings/_found.html", **found(words))


def found(words: str) -> dict[str, object]:
    """What the page shows of a search among the clients."""
    clients = audiences.find(current_user, words) if words else []
    is_cut = len(clients) == audiences.MATCHES
    total = audiences.count_matching(current_user, words) if is_cut else len(clients)
    return {"found": clients, "found_words": words, "found_total": total}


def latest(mailing: Mailing) -> AttemptLine | None:
    """The last attempt, if there was anything to send in it."""
    found = reports.attempts(current_user, mailing_id=mailing.id, size=1).items
    return found[0] if found and found[0].counts.total else None


@blueprint.get("/<int:mailing_id>/live")
def live(mailing_id: int) -> ResponseReturnValue:
    """How a mailing stands now; 304 where that is what the page has already."""
    mailing = mailings.own(current_user, mailing_id)
    watch = watching.one(mailing, servers=servers.names(), now=clock.now())
    response = make_response(
        render_template(
            "mailings/_live.html",
            watch=watch,
            mailing=mailing,
            phase=mailings.phase_of(mailing),
            latest=None if watch.is_live else latest(mailing),
        )
    )
    response.add_etag()
    return response.make_conditional(request)
