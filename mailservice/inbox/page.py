"""The inbox's web page and its small JSON interface, an app of its own."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from babel.units import format_unit
from flask import Flask, Response, abort, current_app, jsonify, redirect, render_template, request, url_for
from flask_babel import Babel, get_locale
from flask_bootstrap import Bootstrap5
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from config import LANGUAGES, ROOT, Settings
from mailservice.inbox.reading import Content, content, text_of
from mailservice.inbox.store import Kept, Store

PAGE_SIZE = 50
MOST_PER_ANSWER = 1000
TABS = ("html", "text", "source", "headers")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A stranger's HTML: no scripts, no forms, an origin of its own; its links open in a tab of their own.
POLICY_OF_LETTERS = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data: http: https:; "
    "style-src 'unsafe-inline'; font-src data:; frame-ancestors 'self'"
)
HEAD = re.compile(r"<head(\s[^>]*)?>", re.IGNORECASE)


def create_page(settings: Settings, store: Store) -> Flask:
    """The page as a WSGI application over `store`."""
    app = Flask(__name__)
    app.config.update(
        BOOTSTRAP_SERVE_LOCAL=True,
        BABEL_DEFAULT_LOCALE=settings.default_language,
        BABEL_DEFAULT_TIMEZONE=settings.default_time_zone,
        BABEL_TRANSLATION_DIRECTORIES=str(ROOT / "mailservice" / "translations"),
        # Another site's name pointed at this machine must not read the letters (DNS rebinding).
        TRUSTED_HOSTS=["localhost", "127.0.0.1", "[::1]"] if settings.inbox_host in LOOPBACK else None,
    )
    app.extensions["inbox_store"] = store
    Bootstrap5(app)
    Babel(app, locale_selector=_language)
    app.before_request(_refuse_strangers)
    app.after_request(_add_headers)
    app.jinja_env.globals["language"] = _language
    app.jinja_env.filters["size"] = size
    app.register_error_handler(404, missing)
    app.add_url_rule("/", view_func=letters)
    app.add_url_rule("/letters/<int:letter_id>", view_func=letter)
    app.add_url_rule("/letters/<int:letter_id>/html", view_func=letter_html)
    app.add_url_rule("/letters/<int:letter_id>/source", view_func=letter_source)
    app.add_url_rule("/clear", view_func=clear, methods=["POST"])
    app.add_url_rule("/api/v1/messages", view_func=api_messages)
    app.add_url_rule("/api/v1/messages", view_func=api_clear, methods=["DELETE"])
    app.add_url_rule("/api/v1/message/<int:letter_id>", view_func=api_message)
    return app


def letters() -> str:
    query = request.args.get("query", "").strip()
    page = max(request.args.get("page", 1, type=int), 1)
    total, found = _store().find(query, start=(page - 1) * PAGE_SIZE, limit=PAGE_SIZE)
    pages = max(-(-total // PAGE_SIZE), 1)
    return render_template("inbox/letters.html", query=query, page=page, pages=pages, total=total, letters=found)


def letter(letter_id: int) -> str:
    kept, source = _get(letter_id)
    seen = content(source)
    offered = [tab for tab in TABS if tab not in ("html", "text") or getattr(seen, tab) is not None]
    tab = request.args.get("tab", "")
    return render_template(
        "inbox/letter.html",
        letter=kept,
        content=seen,
        source=text_of(source),
        tabs=offered,
        tab=tab if tab in offered else offered[0],
    )


def letter_html(letter_id: int) -> Response:
    """The letter's HTML for a sandboxed frame."""
    html = content(_get(letter_id)[1]).html
    if html is None:
        abort(404)
    response = Response(_with_links_in_new_tabs(html), mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY_OF_LETTERS
    return response


def letter_source(letter_id: int) -> Response:
    """The letter octet for octet, to save."""
    response = Response(_get(letter_id)[1], mimetype="message/rfc822")
    response.headers["Content-Disposition"] = f'attachment; filename="{letter_id}.eml"'
    return response


def missing(error: HTTPException) -> tuple[str, int]:
    return render_template("inbox/missing.html"), 404


def size(octets: int) -> str:
    """“3.4 kB”, in the reader's language."""
    unit, number = ("digital-byte", octets) if octets < 1000 else ("digital-kilobyte", round(octets / 1000, 1))
    return format_unit(number, unit, length="short", locale=get_locale())


def clear() -> AnyResponse:
    _store().clear()
    return redirect(url_for("letters"))


def api_messages() -> Response:
    """`total`, and the letters of `start`, `limit` and `query`, newest first."""
    start = max(request.args.get("start", 0, type=int), 0)
    limit = min(max(request.args.get("limit", PAGE_SIZE, type=int), 0), MOST_PER_ANSWER)
    total, found = _store().find(request.args.get("query", ""), start=start, limit=limit)
    return jsonify(total=total, start=start, messages=[_summary(kept) for kept in found])


def api_message(letter_id: int) -> Response:
    """One letter: what the list has, its HTML, text, headers and envelope."""
    kept, source = _get(letter_id)
    seen = content(source)
    return jsonify(
        **_summary(kept),
        html=seen.html,
        text=seen.text,
        headers=_by_name(seen),
        envelope={"from": kept.envelope_from, "to": kept.envelope_to},
        source=text_of(source),
    )


def api_clear() -> tuple[str, int]:
    _store().clear()
    return "", 204


def _store() -> Store:
    store: Store = current_app.extensions["inbox_store"]
    return store


def _get(letter_id: int) -> tuple[Kept, bytes]:
    return _store().get(letter_id) or abort(404)


def _summary(kept: Kept) -> dict[str, Any]:
    return {
        "id": kept.id,
        "from": kept.from_,
        "to": kept.to,
        "subject": kept.subject,
        "date": kept.received_at.isoformat(timespec="milliseconds"),
        "size": kept.size,
    }


def _by_name(seen: Content) -> dict[str, list[str]]:
    """A header may come twice, so each name has a list."""
    names: dict[str, list[str]] = {}
    for name, value in seen.headers:
        names.setdefault(name, []).append(value)
    return names


def _with_links_in_new_tabs(html: str) -> str:
    """A link followed inside the frame would open the page in the frame, which it forbids."""
    base = '<base target="_blank">'
    changed, times = HEAD.subn(lambda match: match[0] + base, html, count=1)
    return changed if times else base + html


def _language() -> str:
    """The browser's language, where it is one of ours."""
    default = str(current_app.config["BABEL_DEFAULT_LOCALE"])
    ordered = [default, *(name for name in LANGUAGES if name != default)]
    return request.accept_languages.best_match(ordered) or default


def _refuse_strangers() -> None:
    """No other site may change anything through the person's browser, which names its site."""
    origin = request.headers.get("Origin")
    if request.method in ("GET", "HEAD", "OPTIONS") or not origin:
        return
    if urlsplit(origin).netloc != request.host:
        abort(403)


def _add_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    return response
