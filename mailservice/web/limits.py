"""How often one may try: where passwords are guessed, and where a letter goes to an address that anybody types.

Each limit counts for one network address, one account or both together, so that nobody can use up another's tries.
Counts are kept in Redis; when it is away, each process counts by itself.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, cast

from flask import Flask, request
from flask_babel import force_locale, format_timedelta
from flask_babel import gettext as _
from flask_limiter import RateLimitExceeded
from flask_login import current_user
from werkzeug.wrappers import Response

from mailservice import clock
from mailservice.errors import Invalid
from mailservice.extensions import limiter
from mailservice.services import addresses
from mailservice.web import errors, language

View = TypeVar("View", bound=Callable[..., Any])


def init_app(app: Flask) -> None:
    app.config.setdefault("RATELIMIT_STORAGE_URI", _storage(str(app.config["REDIS_URL"])))
    app.config.setdefault("RATELIMIT_STORAGE_OPTIONS", {"socket_timeout": 1.0, "socket_connect_timeout": 1.0})
    app.config.setdefault("RATELIMIT_STRATEGY", "moving-window")
    app.config.setdefault("RATELIMIT_IN_MEMORY_FALLBACK_ENABLED", True)
    app.config.setdefault("RATELIMIT_SWALLOW_ERRORS", True)  # Redis may go between asking and counting
    app.config.setdefault("RATELIMIT_KEY_PREFIX", "tries")
    limiter.init_app(app)
    app.register_error_handler(RateLimitExceeded, _too_many)


def each_network(limit: str) -> Callable[[View], View]:
    """So many forms from one network address: `@each_network("20 per hour")`."""
    return _limited(limit, network)


def each_account(limit: str) -> Callable[[View], View]:
    """So many forms that send a letter to one e-mail address, known here or not; a form with errors sends none."""
    return _limited(limit, _account, deduct_when=lambda response: response.status_code < 400)


def each_account_and_network(limit: str) -> Callable[[View], View]:
    """So many forms that name one e-mail address from one network: nobody's tries lock the owner out."""
    return _limited(limit, lambda: f"{_account()} {network()}")


def each_user(limit: str) -> Callable[[View], View]:
    """So many forms of one signed-in user."""
    return _limited(limit, lambda: f"user {current_user.id}")


def each_new_address(limit: str) -> Callable[[View], View]:
    """So many letters to the address that the signed-in user wants to move to, whoever else wants it."""
    return _limited(limit, lambda: _hashed(current_user.new_email or f"of user {current_user.id}"))


def network() -> str:
    """The client's address; of an IPv6 one the network, of which one customer has a whole."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


def _account() -> str:
    """The address that the form names, however it is spelt; hashed, as it may be anything."""
    return _hashed(request.form.get("email", "")[: addresses.LONGEST + 1])


def _hashed(typed: str) -> str:
    try:
        typed = addresses.parse(typed).normalised
    except Invalid:
        typed = typed.strip().lower()
    return hashlib.sha256(typed.encode("utf-8", "replace")).hexdigest()[:32]


def _limited(limit: str, key: Callable[[], str], **options: Any) -> Callable[[View], View]:
    return cast(Callable[[View], View], limiter.limit(limit, key_func=key, methods=["POST"], **options))


def _too_many(error: RateLimitExceeded) -> Response:
    breached = limiter.current_limit
    seconds = max(1, int(breached.reset_at - clock.now().timestamp()) + 1) if breached else 60
    with force_locale(language.without_person()):
        wait = format_timedelta(timedelta(seconds=seconds), threshold=1.2, add_direction=True)
        text, code = errors.answer(429, _("Try again %(wait)s.", wait=wait))
    return Response(text, code, {"Retry-After": str(seconds)}, mimetype="text/html")


def _storage(redis_url: str) -> str:
    return redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url
