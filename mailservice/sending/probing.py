"""Looking whether the mail server is well, without sending anything."""

from __future__ import annotations

from mailservice.sending.sender import House
from mailservice.smtp import probe


def why_not(house: House) -> str | None:
    """Why no letter could be sent now, in words; None when the server greets, takes TLS and lets us in."""
    trouble = probe(house.server)
    if trouble is None:
        return None
    return f"{trouble.reason} ({trouble.reply})" if trouble.reply else trouble.reason
