"""The pages: one folder per feature."""

from flask import Flask

from mailservice.web import (
    account,
    auth,
    blog,
    clients,
    errors,
    exports,
    filters,
    health,
    home,
    imports,
    limits,
    mailings,
    manager,
    messages,
    reports,
    signups,
    suppressions,
    unsubscribe,
)

BLUEPRINTS = (
    home.blueprint,
    blog.blueprint,
    blog.desk_blueprint,
    auth.blueprint,
    account.blueprint,
    mailings.blueprint,
    messages.blueprint,
    clients.blueprint,
    reports.blueprint,
    unsubscribe.blueprint,
    health.blueprint,
    suppressions.blueprint,
    signups.blueprint,
    signups.public_blueprint,
    exports.blueprint,
    imports.blueprint,
)


def init_app(app: Flask) -> None:
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    manager.init_app(app)
    errors.init_app(app)
    filters.init_app(app)
    limits.init_app(app)
