"""Reports over time: by period, by mailing, by the recipients' domain."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import format_date
from flask_login import current_user

from mailservice.models import Mailing
from mailservice.services import mailings, periods, reports
from mailservice.services.periods import Period, Span, Step
from mailservice.web import charts, paging
from mailservice.web.charts import Column
from mailservice.web.reports.views import blueprint

YEARS = range(2000, 2101)


@blueprint.get("/reports/periods")
def by_period() -> ResponseReturnValue:
    step, of, mailing = _step(), _span(), _mailing()
    found = periods.by_period(current_user, of, step, mailing_id=mailing.id if mailing else None)
    chart = charts.of_columns([Column(*_names(period, step), period.counts) for period in found])
    rows = list(zip(chart.columns, found, strict=True))[::-1]
    return render_template(
        "reports/periods.html", chart=chart, rows=rows, step=step, steps=Step, span=of, mailing=mailing
    )


@blueprint.get("/reports/mailings")
def by_mailing() -> ResponseReturnValue:
    of = _span()
    page = periods.by_mailing(current_user, of, **paging.asked())
    return render_template("reports/mailings.html", page=page, span=of)


@blueprint.get("/reports/domains")
def domains() -> ResponseReturnValue:
    of, mailing = _span(), _mailing()
    attempt_id = request.args.get("attempt", type=int)
    attempt = reports.own(current_user, attempt_id) if attempt_id is not None else None
    if attempt:
        found = periods.domains_of(attempt)
    else:
        found = periods.by_domain(current_user, of, mailing_id=mailing.id if mailing else None)
    return render_template("reports/domains.html", found=found, span=of, mailing=mailing, attempt=attempt)


def _step() -> Step:
    with suppress(ValueError):
        return Step(request.args.get("by", ""))
    return Step.DAY


def _span() -> Span:
    first, last = (_day(request.args.get(name)) for name in ("from", "until"))
    return periods.span(_step(), first=first, last=last, zone=current_user.time_zone)


def _day(text: str | None) -> date | None:
    with suppress(ValueError):
        day = date.fromisoformat(text or "")
        return day if day.year in YEARS else None
    return None


def _mailing() -> Mailing | None:
    mailing_id = request.args.get("mailing", type=int)
    return mailings.own(current_user, mailing_id) if mailing_id is not None else None


def _names(period: Period, step: Step) -> tuple[str, str]:
    """Short and in full: “9 Nov”, “9–15 Nov 2026”."""
    begin, last = period.first_day, step.next(period.first_day, 1)
    if step is Step.MONTH:
        return format_date(begin, "LLL y"), format_date(begin, "LLLL y")
    if step is Step.DAY:
        return format_date(begin, "d MMM"), format_date(begin, "EEE, d MMM y")
    end = date.fromordinal(last.toordinal() - 1)
    return format_date(begin, "d MMM"), f"{format_date(begin, 'd MMM')} – {format_date(end, 'd MMM y')}"
