"""What is asked for: every GET of the URL map, and what people ask of a page beside its bare address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flask import Flask
from werkzeug.routing import Rule

from benchmarks.pages.filling import Filled
from mailservice.models import Role
from tests.web import routes
from tests.web.routes import Things

STATES = ("sent", "waiting", "failed", "unknown", "skipped")
CONDITIONS = (
    "q=user777",  # a hundred
    "q=anna",  # half of them
    "q=nobody",
    "any=Many",
    "all=Many, Few",
    "none=Few",
    "domain=domain7.example",
    "days=30",
    "got={mailing_id}",
    "missed={mailing_id}",
    "got={open_mailing_id}",
    "missed={open_mailing_id}",
    "missed={small_mailing_id}",
    "state=suppressed",
    "state=mailable",
)
# An endpoint and the queries that are asked of it; names in braces are those of `Filled`.
ALSO: dict[str, tuple[str, ...]] = {
    "clients.index": (
        *CONDITIONS,
        "page=2000",
        "page=1000",
        "q=anna&page=500",
        "any=Many&missed={mailing_id}&state=mailable",
    ),
    "clients.new_filter": CONDITIONS,
    "clients.preview": CONDITIONS,
    "clients.list_duplicates": ("by=name",),
    "mailings.index": ("q=77", "state=running", "state=sending", "sort=title", "sort=newest", "page=10&size=100"),
    "mailings.show": ("q=user777", "page=1000"),
    "mailings.clients": ("find_words=user777", "find_words=anna", "find_words=nobody"),
    "messages.index": ("q=7",),
    "messages.show": ("reader=client&who=user777",),
    "messages.offered_readers": ("who=user777", "who=nobody"),
    "home.sent": ("period=month",),
    "reports.again": ("to=unknown",),
    "reports.domains": ("attempt={attempt_id}", "mailing={mailing_id}"),
    "reports.by_mailing": ("by=month&page=2",),
    "reports.by_period": ("by=month", "by=week", "mailing={mailing_id}"),
    "reports.deliveries": (
        *(f"state={state}" for state in STATES),
        "state=failed&why=mailbox_full",
        "q=user777",
        "q=nobody",
        "state=sent&q=user777",
        "state=failed&q=nobody",
        "state=waiting&q=nobody",
        "after=user5",
    ),
    "reports.index": ("outcome=open", "outcome=troubled", "mailing={mailing_id}", "page=20"),
    "suppressions.index": ("q=gone77", "q=nobody", "q=unknown", "sort=address", "reason=hard_bounce", "page=1000"),
    "manager_clients.index_view": ("q=user777@domain177.example", "owner={owner}", "page=200", "sort=2"),
    "manager_deliveries.index_view": (
        "q=user777@domain177.example",
        "owner={owner}",
        "attempt={attempt_id}",
        *(f"state={state}" for state in STATES),
        *(f"state={state}&owner={{owner}}" for state in STATES),
        "state=cancelled",
        "page=200",
    ),
    "manager_attempts.index_view": ("q=77", "owner={owner}", "state=open", "state=troubled", "sort=1", "page=20"),
    "manager_mailings.index_view": ("q=77", "owner={owner}", "state=running", "sort=0", "sort=1&desc=1", "page=20"),
    "manager_suppressions.index_view": ("q=gone77@domain77.example", "owner={owner}", "page=40"),
    "manager_messages.index_view": ("q=7", "sort=0"),
    "manager_events.index_view": ("q=owner",),
    "manager_users.index_view": ("q=owner",),
}


def paths(app: Flask, things: Things, filled: Filled, role: Role) -> Iterator[str]:
    """Of a user every GET that he may make, about the largest thing of each kind; of a manager those of the desk."""
    large = replace(
        things,
        mailing_id=filled.mailing_id,
        attempt_id=filled.attempt_id,
        client_id=filled.client_id,
        filter_id=filled.filter_id,
        delivery_id=filled.delivery_id,
    )
    names = filled._asdict() | {"owner": things.owner.email}
    for rule in routes.rules(app):
        if "GET" not in routes.methods(rule) or not _is_his(rule, role):
            continue
        for about in (large, *_others(rule, large, filled)):
            path = routes.address(app, rule, about.arguments(rule))
            yield path
            yield from (f"{path}?{query.format(**names)}" for query in ALSO.get(rule.endpoint, ()))


def _others(rule: Rule, large: Things, filled: Filled) -> list[Things]:
    """What such a page is asked about beside the largest: what is under way, and drafts."""
    named = {routes.ROWS[rule.endpoint.partition(".")[0]] if name == "row_id" else name for name in rule.arguments}
    if "attempt_id" in named:
        return [replace(large, attempt_id=filled.open_attempt_id)]
    if "mailing_id" in named:
        ids = (filled.open_mailing_id, filled.draft_id, filled.filtered_id)
        return [replace(large, mailing_id=mailing_id) for mailing_id in ids]
    return []


def _is_his(rule: Rule, role: Role) -> bool:
    """What a manager sees beside the desk, he sees as a user."""
    if role not in routes.access(rule).roles or "token" in rule.arguments or rule.endpoint in routes.FILES:
        return False
    return role is Role.USER or Role.USER not in routes.access(rule).roles
