"""“Send again”: how many letters, what to mind, and the button."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext
from flask_login import current_user

from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.models import Attempt, State
from mailservice.queues import Job, enqueue
from mailservice.services import reports, resending
from mailservice.web import filters
from mailservice.web.reports.views import blueprint


@blueprint.get("/attempts/<int:attempt_id>/again")
def again(attempt_id: int) -> ResponseReturnValue:
    return _page(reports.own(current_user, attempt_id), _state(request.args.get("to")))


@blueprint.post("/attempts/<int:attempt_id>/again")
def send_again(attempt_id: int) -> ResponseReturnValue:
    state = _state(request.form.get("to"))
    number, seen = request.form.get("number", 0, type=int), request.form.get("seen", "")
    try:
        with transaction():
            resending.send_again(
                current_user, attempt_id, state=state, number=number, seen=seen, address=request.remote_addr
            )
    except Refused as error:
        return _page(reports.own(current_user, attempt_id), state, refusal=error.message)
    enqueue(Job.TICK)
    shown = filters.number(number)
    flash(ngettext("%(number)s letter is sent again.", "%(number)s letters are sent again.", number, number=shown))
    return redirect(url_for(".attempt", attempt_id=attempt_id))


def _state(word: str | None) -> State:
    return State.UNKNOWN if word == State.UNKNOWN else State.FAILED


def _page(attempt: Attempt, state: State, refusal: str = "") -> ResponseReturnValue:
    offer = None
    try:
        offer = resending.offer(attempt, state)
    except Refused as error:
        refusal = refusal or error.message
    page = render_template("reports/again.html", attempt=attempt, state=state, offer=offer, refusal=refusal)
    return page, 409 if request.method == "POST" else 200
