"""Where to go after signing in: only to this site's own pages."""

from urllib.parse import urlsplit

LONGEST = 2000


def own_path(target: str | None) -> str | None:
    """`target` when it is a path of this site, else None.

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
    return None if parts.scheme or parts.netloc else target
