"""What programs read: the feed, the sitemap, robots.txt. The same for everybody, in the service's own language."""

from __future__ import annotations

from flask import Response, current_app, render_template, request
from flask_babel import force_locale

from mailservice import clock
from mailservice.services import blog
from mailservice.web.blog import kept
from mailservice.web.blog.views import blueprint, public_url
from mailservice.web.security import public

FOR_PEOPLE_SIGNED_IN = ("dashboard", "mailings", "messages", "clients", "attempts", "reports", "posts", "u", "language")
A_WHILE = 300  # seconds for which others may keep these


@blueprint.get("/blog/feed.xml")
@public
def feed() -> Response:
    """Atom (RFC 4287)."""
    entries = kept.feed()
    changed = max((entry["card"]["updated_at"] for entry in entries), default=clock.now())
    return _answer("blog/feed.xml", "application/atom+xml", entries=entries, changed=changed)


@blueprint.get("/sitemap.xml")
@public
def sitemap() -> Response:
    addresses = kept.addresses()
    last = max(1, -(-len(addresses) // blog.PAGE))
    return _answer("blog/sitemap.xml", "application/xml", addresses=addresses, last=last)


@blueprint.get("/robots.txt")
@public
def robots() -> Response:
    lines = ["User-agent: *", *(f"Disallow: /{name}" for name in FOR_PEOPLE_SIGNED_IN), "Allow: /"]
    text = "\n".join([*lines, "", f"Sitemap: {public_url('blog.sitemap')}", ""])
    return _shared(Response(text, mimetype="text/plain"))


def _answer(template: str, kind: str, **values: object) -> Response:
    with force_locale(current_app.config["BABEL_DEFAULT_LOCALE"]):
        return _shared(Response(render_template(template, **values), mimetype=kind))


def _shared(response: Response) -> Response:
    response.cache_control.public = True
    response.cache_control.max_age = A_WHILE
    response.add_etag()
    return response.make_conditional(request)  # type: ignore[return-value]
