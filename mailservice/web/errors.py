"""What a person sees when something cannot be done: one page, with the reason and a way on.

It asks neither the database nor who is signed in: it has to stand when the database does not.
"""

from __future__ import annotations

import logging

from flask import Flask, current_app, request
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, SecurityError
from werkzeug.wrappers import Response

from mailservice.errors import Invalid, NotFound, Refused
from mailservice.web import language

log = logging.getLogger(__name__)

WORDS = {
    400: (_l("This request was not understood"), _l("Go back, reload the page and try again.")),
    401: (_l("Sign in first"), _l("This page is for people who are signed in.")),
    403: (_l("This is not for you"), _l("You may not do this.")),
    404: (_l("There is no such page"), _l("It may have been deleted, or the address is mistyped.")),
    405: (_l("This cannot be done this way"), _l("Use the buttons and forms of the pages.")),
    409: (_l("This is not possible now"), _l("Something else has to happen first.")),
    413: (_l("This is too big"), _l("Send less at once: a form takes up to 4 MB, a file up to 16 MB.")),
    429: (_l("Too many tries"), _l("Wait a little and try again.")),
    500: (
        _l("Something went wrong"),
        _l("The fault is ours and has been recorded. Mailings go on. Try again in a minute."),
    ),
}


def init_app(app: Flask) -> None:
    app.before_request(_refuse_big_forms)
    app.register_error_handler(NotFound, lambda error: answer(404, ""))
    app.register_error_handler(Refused, lambda error: answer(409, error.message))
    app.register_error_handler(Invalid, lambda error: answer(400, error.message))
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(SecurityError, _unknown_host)
    app.register_error_handler(HTTPException, _http)


def _refuse_big_forms() -> None:
    """Werkzeug keeps MAX_FORM_MEMORY_SIZE for multipart forms only."""
    longest = int(current_app.config["MAX_FORM_MEMORY_SIZE"])
    if request.mimetype == "application/x-www-form-urlencoded" and (request.content_length or 0) > longest:
        raise RequestEntityTooLarge


def _unknown_host(error: SecurityError) -> Response:
    """Without a page: under a name that is not ours there are no addresses to build one with."""
    with force_locale(language.without_person()):
        message = _("This service does not answer to this name. Its names are PUBLIC_URL and TRUSTED_HOSTS.")
    return Response(f"{message}\n", 400, mimetype="text/plain")


def _csrf(error: CSRFError) -> tuple[str, int]:
    with force_locale(language.without_person()):
        message = _("This form has expired or came from another site. Go back, reload the page and send it again.")
    return answer(400, message)


def _http(error: HTTPException) -> Response | HTTPException | tuple[str, int]:
    """Any other refusal of the web's own; an answer made by hand (`abort(response)`) passes as it is."""
    code = error.code or 500
    if code < 400 or error.response is not None:
        return error
    return answer(code, "")


def answer(code: int, message: str) -> tuple[str, int]:
    """The page without context processors: they would ask who is signed in."""
    with force_locale(language.without_person()):
        title, reason = WORDS.get(code) or WORDS[500 if code >= 500 else 400]
        template = current_app.jinja_env.get_template("errors/error.html")
        text = template.render(code=code, heading=title, message=message or reason, lang=str(get_locale()))
    return text, code
