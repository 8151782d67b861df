"""Addresses of clients as managers see them: enough to tell one from another, too little to write to anybody."""

from __future__ import annotations

import re

# As a mail server may quote one: <boris@example.org>, "boris b"@example.org, борис@пример.рф, boris%40example.org.
_ADDRESS = re.compile(r"""(?:"[^"\s][^"]*"|[^\s<>()\[\]:;,"@]+?)(?:@|%40)[^\s<>()\[\]:;,"@]+""", re.IGNORECASE)


def address(email: str) -> str:
    """`i***@example.org`; of a text that is no address stars alone."""
    local, at, domain = email.rpartition("@")
    first = local.lstrip('"')[:1]
    return f"{first}***@{domain}" if at else "***"


def text(words: str | None, *, known: str = "") -> str:
    """A server's reply with every address in it masked; of the `known` one also what stands before the @."""
    masked = _ADDRESS.sub(lambda match: address(match[0]), words or "")
    local = known.rpartition("@")[0]
    if local and local.lower() in masked.lower():
        masked = re.sub(rf"(?<!\w){re.escape(local)}(?!\w)", f"{local[:1]}***", masked, flags=re.IGNORECASE)
    return masked
