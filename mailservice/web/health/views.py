"""`/healthz` and `/readyz`."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from config import Settings
from mailservice import queues
from mailservice.database import db
from mailservice.services.health import Health
from mailservice.web.security import public

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> Response:
    """Alive: this process answers, whatever has become of the rest."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@public
def readyz() -> tuple[Response, int]:
    """Ready: mail can be planned and sent; 503 otherwise."""
    report = _health().report()
    status = "ready" if report.ready else "not ready"
    return jsonify(status=status, **report.parts), 200 if report.ready else 503


def _health() -> Health:
    """One for each app, so that a check that hangs is not started again and again."""
    if "health" not in current_app.extensions:
        settings: Settings = current_app.config["SETTINGS"]
        health = Health(db.engine, queues.connection(), [server.name for server in settings.servers])
        current_app.extensions["health"] = health
    found: Health = current_app.extensions["health"]
    return found
