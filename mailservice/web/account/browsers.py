"""A browser's own name for itself, in a few words."""

from __future__ import annotations

from flask_babel import gettext as _

# In this order: many name their forebears, too.
BROWSERS = (
    ("YaBrowser/", "Yandex Browser"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def words(user_agent: str) -> str:
    """“Firefox, Linux”; the beginning of the text where neither is known."""
    known = [_first(user_agent, BROWSERS), _first(user_agent, SYSTEMS)]
    return ", ".join(filter(None, known)) or user_agent[:60] or _("an unknown browser")


def _first(text: str, names: tuple[tuple[str, str], ...]) -> str:
    return next((word for mark, word in names if mark in text), "")
