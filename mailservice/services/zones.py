"""Time zones, by their IANA names."""

from __future__ import annotations

import zoneinfo
from functools import cache


@cache
def every() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


@cache
def offered() -> list[str]:
    """Those that a form offers: named after places, and UTC."""
    return ["UTC", *sorted(z for z in every() if "/" in z and not z.startswith("Etc/"))]
