"""Page and size of a list, from the query: whatever stands there, never an error. The pager is a macro."""

from __future__ import annotations

from flask import request

SIZES = (25, 50, 100)
DEFAULT_SIZE = 50
FARTHEST = 1_000_000


def asked() -> dict[str, int]:
    """`number` and `size`, ready for a service: `clients.search(owner, **paging.asked())`."""
    size = _number(request.args.get("size"), DEFAULT_SIZE)
    return {
        "number": min(max(1, _number(request.args.get("page"), 1)), FARTHEST),
        "size": size if size in SIZES else DEFAULT_SIZE,
    }


def _number(text: str | None, otherwise: int) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise
