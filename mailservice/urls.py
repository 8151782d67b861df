"""What the settings say of addresses: the service's own, the database's and Redis's, and hosts among them."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

import idna

# As SQLAlchemy reads them: a password may hold anything but “@”, a file's name anything at all.
DATABASE = re.compile(
    r"sqlite://(?:[/?].*)?"
    r"|postgresql\+psycopg://"
    r"(?:[^:/]*(?::[^@]*)?@)?"  # who; the name of some is like an address
    r"(?:\[[^\]/?@]+\]|[^]/:?@[]*)(?::\d{0,5})?"  # where
    r"(?:/[^?]*)?(?:\?.*)?"
)
REDIS_SCHEMES = ("redis", "rediss", "unix")


def web_address(text: str) -> str:
    """An http:// or https:// address in ASCII (RFC 5890, RFC 3987 3.1) and without a slash behind; else ValueError."""
    parts = urlsplit(text.rstrip("/"))
    host, port = parts.hostname, parts.port
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("not an address of the web")
    if not host.isascii():
        who, at, _ = parts.netloc.rpartition("@")
        place = in_ascii(host) + (f":{port}" if port is not None else "")
        parts = parts._replace(netloc=f"{who}{at}{place}")
    if not parts.path.isascii():
        parts = parts._replace(path=quote(parts.path, safe="/%:@!$&'()*+,;=~"))
    whole = parts.geturl()
    if not whole.isascii() or not whole.isprintable() or " " in whole:
        raise ValueError("holds what no address may hold")
    return whole


def in_ascii(host: str) -> str:
    """The name of a host as programs call it (RFC 5890); ValueError where it has none."""
    return idna.encode(host, uts46=True).decode("ascii")


def bracketed(host: str) -> str:
    """The host as it stands before a port: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def is_database(text: str) -> bool:
    """Whether SQLAlchemy can read it."""
    return bool(DATABASE.fullmatch(text))


def is_redis(text: str) -> bool:
    """Whether redis can read it; a “#”, “/” or “?” in a password must be written as %XX."""
    try:
        parts = urlsplit(text)
        if parts.scheme == "unix":
            return True
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in REDIS_SCHEMES and "@" not in parts.path + parts.query and not parts.fragment
