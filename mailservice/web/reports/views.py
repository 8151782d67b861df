"""Reports: attempts, one attempt, and the deliveries behind each number."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from mailservice.models import Attempt, Reason, State
from mailservice.services import causes, courses, mailings, reports, texts
from mailservice.services.causes import Cause
from mailservice.services.counting import STATES, counts_of
from mailservice.services.reports import Ending, Which
from mailservice.web import charts, paging
from mailservice.web.reports import words as say

blueprint = Blueprint("reports", __name__)
BIGGEST_CODE = 599


@blueprint.app_context_processor
def _words() -> dict[str, object]:
    return {
        "why": lambda attempt: say.reason(attempt.reason),
        "ending_of": reports.ending_of,
        "report_words": say,
    }


@blueprint.get("/reports")
def index() -> ResponseReturnValue:
    mailing_id = request.args.get("mailing", type=int)
    mailing = mailings.own(current_user, mailing_id) if mailing_id is not None else None
    ending = None
    with suppress(ValueError):
        ending = Ending(request.args.get("outcome", ""))
    page = reports.attempts(current_user, mailing_id=mailing_id, ending=ending, **paging.asked())
    return render_template(
        "reports/index.html",
        page=page,
        mailing=mailing,
        ending=ending,
        Ending=Ending,
        chart=charts.of_attempts(page.items) if mailing else None,
    )


@blueprint.get("/attempts/<int:attempt_id>")
def attempt(attempt_id: int) -> ResponseReturnValue:
    attempt = reports.own(current_user, attempt_id)
    counts = counts_of([attempt])[attempt.id]
    course = courses.of(attempt, total=counts.total, zone=current_user.time_zone)
    return render_template(
        "reports/attempt.html",
        attempt=attempt,
        counts=counts,
        ending=reports.ending_of(attempt),
        groups=causes.groups(attempt),
        deferred=reports.deferred(attempt) if attempt.is_open else (0, None),
        course=course,
        chart=charts.of_course(course) if course else None,
    )


@blueprint.get("/attempts/<int:attempt_id>/deliveries")
def deliveries(attempt_id: int) -> ResponseReturnValue:
    attempt = reports.own(current_user, attempt_id)
    which, cause = asked_for(attempt), _cause()
    page = reports.deliveries(
        attempt,
        which,
        size=paging.asked()["size"],
        after=_address("after"),
        before=_address("before"),
    )
    counts = counts_of([attempt])[attempt.id]
    return render_template(
        "reports/deliveries.html", attempt=attempt, which=which, cause=cause, page=page, counts=counts
    )


def asked_for(attempt: Attempt) -> Which:
    """The filters in the address; what makes no sense is left out."""
    args = request.args
    state = args.get("state") if args.get("state") in STATES else None
    words = texts.search_words(args.get("q"))
    if state in (None, "waiting"):
        return Which(state, words)
    if cause := _cause():
        return Which(state, words, kinds=causes.kinds_of(attempt, State(state), cause))
    if "exact" not in args:
        return Which(state, words)
    reason = None
    with suppress(ValueError):
        reason = Reason(args.get("reason", ""))
    code = args.get("code", type=int)
    enhanced = texts.search_words(args.get("enhanced")) or None
    code = code if code and 0 < code <= BIGGEST_CODE else None
    return Which(state, words, reason=reason, code=code, enhanced=enhanced, exact=True)


def _cause() -> Cause | None:
    with suppress(ValueError):
        return Cause(request.args.get("why", ""))
    return None


def _address(name: str) -> str | None:
    """Where the list goes on; a text that no address has is no reason for an error."""
    return texts.search_words(request.args.get(name)) if name in request.args else None
