"""Pages that letters and other sites lead to."""

from __future__ import annotations

from werkzeug.wrappers import Response


def private(response: Response) -> Response:
    """The address holds a token: it goes to no other site, no cache and no search engine."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
