"""What the settings say of the mail servers, as the services of this feature want it."""

from __future__ import annotations

from flask import current_app

from config import Settings


def names() -> list[str]:
    return [server.name for server in _settings().servers]


def sender() -> str:
    return _settings().mail_sender


def per_second() -> float:
    """The letters that all servers together may be handed in a second; zero where one of them has no limit."""
    limits = [server.limits.per_second for server in _settings().servers]
    return sum(limits) if all(limits) else 0


def per_hour() -> int:
    """The same in an hour."""
    limits = [server.limits.per_hour for server in _settings().servers]
    return sum(limits) if all(limits) else 0


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings
