"""The composition root: the only module that knows all others."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

import mailservice.models  # noqa: F401  (makes every table known)
from config import ROOT, Settings
from mailservice import caching, cli, web
from mailservice.database import db, engine_options
from mailservice.extensions import babel, bootstrap, csrf, login_manager, migrate
from mailservice.web import language, security


def create_app(settings: Settings) -> Flask:
    """The application, wired; it opens no connection until it is asked something."""
    _keep_files_private(settings.instance_path)
    app = Flask("mailservice", instance_path=str(settings.instance_path))
    app.config.from_mapping(settings.flask())
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(app.config["SQLALCHEMY_DATABASE_URI"])
    _configure_logging(settings.log_level)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(ROOT / "migrations"), compare_type=True, render_as_batch=True)
    babel.init_app(app, locale_selector=language.current, timezone_selector=language.time_zone)
    bootstrap.init_app(app)
    caching.init_app(app)
    csrf.init_app(app)
    login_manager.init_app(app)
    security.init_app(app)
    web.init_app(app)
    cli.init_app(app)
    if settings.proxy_count:
        hops = settings.proxy_count
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _keep_files_private(folder: Path) -> None:
    """Addresses, letters and the key are for the service's own user: every process makes its files so."""
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    found = folder.stat()
    is_shared = found.st_mode & stat.S_ISVTX  # somebody has named /tmp
    if found.st_uid == os.getuid() and not is_shared:
        folder.chmod(0o700)


def _configure_logging(level: str) -> None:
    # Under the supervisor every line has its time already.
    time = "" if "HONCHO_PROCESS_NAME" in os.environ else "%(asctime)s "
    logging.basicConfig(level=level.upper(), format=time + "%(levelname)s %(name)s: %(message)s")
    # One line for every periodic job is noise.
    for name in ("rq.worker", "rq.scheduler", "rq_scheduler.scheduler", "rq.queue"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
