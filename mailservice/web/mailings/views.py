"""Mailings: list, page, form."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from mailservice import clock
from mailservice.database import transaction
from mailservice.models import Mailing
from mailservice.queues import Job, enqueue
from mailservice.services import audiences, mailing_lists, mailings, messages, reports, schedule, texts, watching, zones
from mailservice.services import filters as saved_filters
from mailservice.services.audiences import Audience
from mailservice.services.mailing_lists import Order
from mailservice.services.mailings import Phase
from mailservice.web import filters, forms, paging
from mailservice.web.mailings import fragments, made, servers
from mailservice.web.mailings.acts import LIST
from mailservice.web.mailings.blueprint import blueprint
from mailservice.web.mailings.forms import MailingForm

FIRINGS = 5
ATTEMPTS = 5
CLIENTS = 25


@blueprint.get("")
def index() -> ResponseReturnValue:
    words = texts.search_words(request.args.get("q"))
    phase = None
    with suppress(ValueError):
        phase = Phase(request.args.get("state", ""))
    order = Order.NEXT
    with suppress(ValueError):
        order = Order(request.args.get("sort", ""))
    page = mailing_lists.search(current_user, words=words, phase=phase, order=order, **paging.asked())
    phases = mailings.phases(current_user)
    kept = {name: request.args[name] for name in LIST if name in request.args}
    return render_template(
        "mailings/index.html",
        page=page,
        words=words,
        phase=phase,
        phases=phases,
        order=order,
        kept=kept,
        Phase=Phase,
        sizes=paging.SIZES,
    )


@blueprint.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    form = MailingForm()
    form.offer(current_user)
    if not form.is_submitted():
        form.start_new(current_user, request.args.get("message", type=int))
    elif made_before := made.by(form.form_key.data):
        return redirect(url_for(".start", mailing_id=made_before))
    elif "look" in request.form:
        pass  # without a script: what stands in the form, and when it would go out
    elif _wants_to_find(form):
        form.collect_ticked(current_user)
    elif form.validate():
        with forms.errors_beside(form), transaction():
            audience = form.chosen(current_user) or Audience()
            mailing = mailings.create(current_user, audience=audience, draft=True, **_values(form))
        if not form.errors:
            made.remember(form.form_key.data, mailing.id)
            return redirect(url_for(".start", mailing_id=mailing.id))
    return _form_page(form, None)


@blueprint.route("/<int:mailing_id>/edit", methods=["GET", "POST"])
def edit(mailing_id: int) -> ResponseReturnValue:
    mailing = mailings.own(current_user, mailing_id)
    form = MailingForm(obj=mailing)
    form.offer(current_user, mailing)
    if not form.is_submitted():
        form.start_edit(mailing)
    elif "look" in request.form:
        pass
    elif _wants_to_find(form):
        form.collect_ticked(current_user)
    elif form.validate():
        with forms.errors_beside(form), transaction():
            mailing = mailings.own(current_user, mailing_id, lock=True)
            form.check_standing(mailing)
            mailings.update(mailing, current_user, audience=form.chosen(current_user), **_values(form))
        if not form.errors:
            return _after(mailing)
    return _form_page(form, mailing)


@blueprint.get("/<int:mailing_id>")
def show(mailing_id: int) -> ResponseReturnValue:
    mailing = mailings.own(current_user, mailing_id)
    words = texts.search_words(request.args.get("q"))
    watch = watching.one(mailing, servers=servers.names(), now=clock.now())
    clients = audiences.members(mailing, words=words, **paging.asked() | {"size": CLIENTS})
    return render_template(
        "mailings/show.html",
        mailing=mailing,
        phase=mailings.phase_of(mailing),
        watch=watch,
        latest=None if watch.is_live else fragments.latest(mailing),
        disabled_by=mailings.disabled_by(mailing),
        firings=list(islice(schedule.of(mailing).firings(after=clock.now()), FIRINGS)),
        attempts=reports.attempts(current_user, mailing_id=mailing_id, size=ATTEMPTS),
        audience=audiences.count(mailing) if words else clients.total,
        filters=saved_filters.of_mailing(mailing),
        clients=clients,
        words=words,
        now=clock.now,
    )


def _after(mailing: Mailing) -> ResponseReturnValue:
    """A draft is started on the next page; anything else is on its way with what has been changed."""
    if mailing.is_draft:
        return redirect(url_for(".start", mailing_id=mailing.id))
    enqueue(Job.TICK)
    flash(_what_follows(mailing))
    return redirect(url_for(".show", mailing_id=mailing.id))


def _what_follows(mailing: Mailing) -> str:
    """What was done and, above all, when letters go out because of it."""
    if mailing.next_at is None or mailing.paused_at or mailing.disabled_at:
        return _("The mailing is saved.")
    if mailing.next_at <= clock.now():
        return _("The mailing is saved and begins in half a minute.")
    return _("The mailing is saved. It goes out next on %(moment)s.", moment=filters.moment_text(mailing.next_at))


def _wants_to_find(form: MailingForm) -> bool:
    """The button “Find”, or Enter in its box: then something else stands there than was sought last."""
    sent = request.form
    return "find" in sent or ("enter" in sent and sent.get("find_words", "") != sent.get("sought", ""))


def _values(form: MailingForm) -> dict:
    return {
        "title": form.title.data,
        "message_id": form.message_id.data,
        "plan": form.plan(),
        "filter_ids": form.filter_ids.data or [],
    }


def _form_page(form: MailingForm, mailing: Mailing | None) -> ResponseReturnValue:
    words = texts.search_words(form.find_words.data) if _wants_to_find(form) or form.ticked.data else ""
    return forms.page(
        "mailings/form.html",
        form,
        mailing=mailing,
        open_attempt=mailing and mailings.open_attempt(mailing),
        total=audiences.size(current_user),
        now_chosen=audiences.count_listed(mailing) if mailing else 0,
        chosen_matching={words: audiences.count_matching(current_user, words) for words in form.matching_words()},
        forecast=fragments.ahead(form, has_fired=bool(mailing and schedule.has_fired(mailing))),
        plan=form.plan_or_none(),
        zones=zones.offered(),
        has_messages=bool(messages.choices(current_user)),
        **fragments.found(words),
    )
