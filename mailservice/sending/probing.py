"""Looking whether the mail server is well, without sending anything."""

from __future__ import annotations

from mailservice.smtp import Server, probe


def why_not(server: Server) -> str | None:
    """Why no letter could be sent now, in words; None when the server greets, takes TLS and lets us in."""
    trouble = probe(server)
    if trouble is None:
        return None
    return f"{trouble.reason} ({trouble.reply})" if trouble.reply else trouble.reason
