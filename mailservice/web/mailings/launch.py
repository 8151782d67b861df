"""Before it goes: what will be sent to whom, to be confirmed; and half a minute to undo it."""

from __future__ import annotations

from collections.abc import Callable

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from mailservice import clock
from mailservice.database import transaction
from mailservice.errors import Refused
from mailservice.models import Mailing
from mailservice.queues import Job, enqueue
from mailservice.services import filters, forecast, launching, mailings, outlook, schedule
from mailservice.web.mailings import servers
from mailservice.web.mailings.blueprint import blueprint


@blueprint.route("/<int:mailing_id>/start", methods=["GET", "POST"])
def start(mailing_id: int) -> ResponseReturnValue:
    mailing = mailings.own(current_user, mailing_id)
    if request.method == "POST":
        return _go(mailing_id, lambda found: launching.start(found, clock.now()))
    if not mailing.is_draft:
        return redirect(url_for(".show", mailing_id=mailing_id))
    return _confirmation(mailing, refusal=launching.why_not_start(mailing, clock.now()))


@blueprint.route("/<int:mailing_id>/send-now", methods=["GET", "POST"])
def send_now(mailing_id: int) -> ResponseReturnValue:
    """For its owner alone: to everybody else there is no such mailing."""
    mailing = mailings.own(current_user, mailing_id)
    if request.method == "POST":
        return _go(mailing_id, lambda found: launching.send_now(found, current_user, clock.now()))
    return _confirmation(mailing, refusal=launching.why_not_now(mailing, current_user, clock.now()), at_once=True)


@blueprint.post("/<int:mailing_id>/undo")
def undo(mailing_id: int) -> ResponseReturnValue:
    try:
        with transaction():
            mailing = launching.undo(mailings.own(current_user, mailing_id, lock=True), clock.now())
        if mailing.is_draft:
            flash(_("Undone: nothing was sent, and “%(title)s” is a draft again.", title=mailing.title))
        else:
            flash(_("Undone: nothing was sent, and “%(title)s” is as it was before.", title=mailing.title))
    except Refused as error:
        flash(error.message, "error")
    return redirect(url_for(".show", mailing_id=mailing_id))


def _go(mailing_id: int, act: Callable[[Mailing], object]) -> ResponseReturnValue:
    """Does it, and then the mailing's page; where something else would go than was shown, it is shown again."""
    then = ".show"
    try:
        with transaction():
            mailing = mailings.own(current_user, mailing_id, lock=True)
            stamp = _stamp(mailing)
            act(mailing)  # first: “started already” tells more than “something has changed”
            if request.form.get("stamp", stamp) != stamp:
                then = str(request.endpoint)
                raise Refused(_("Something has changed since you opened this page. Look at it once more."))
        enqueue(Job.TICK)
    except Refused as error:
        flash(error.message, "error")
    return redirect(url_for(then, mailing_id=mailing_id))


def _stamp(mailing: Mailing) -> str:
    return launching.stamp(mailing, outlook.recipients(mailing).number)


def _confirmation(mailing: Mailing, *, refusal: str, at_once: bool = False) -> ResponseReturnValue:
    recipients = outlook.recipients(mailing)
    return render_template(
        "mailings/confirm.html",
        mailing=mailing,
        refusal=refusal,
        at_once=at_once,
        recipients=recipients,
        stamp=launching.stamp(mailing, recipients.number),
        sender=servers.sender(),
        duration=outlook.duration(
            current_user, recipients.number, per_second=servers.per_second(), per_hour=servers.per_hour()
        ),
        filters=filters.of_mailing(mailing),
        forecast=forecast.ahead(schedule.of(mailing), clock.now()),
    )
