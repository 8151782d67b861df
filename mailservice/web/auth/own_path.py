"""Where to go after signing in: only to this site's own pages."""

from urllib.parse import urlsplit

from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RequestRedirect

LONGEST = 2000


def own_path(target: str | None) -> str | None:
    """`target` when it is the path of a page of this site, else None; what only takes forms is no page.

    Browsers read a backslash as a slash and drop tabs and line breaks, so none of them may stand there.
    """
    if not target or len(target) > LONGEST or not target.startswith("/"):
        return None
    if target.startswith("//") or "\\" in target or not target.isprintable() or " " in target:
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc or not _is_page(parts.path) else target


def _is_page(path: str) -> bool:
    pages: MapAdapter | None = request_ctx.url_adapter
    assert pages is not None
    try:
        pages.match(path, method="GET")
    except RequestRedirect:
        return True
    except HTTPException:
        return False
    return True
