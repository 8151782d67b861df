"""Alembic's environment: migrations run on the application's own engine."""

import sqlalchemy as sa
from alembic import context
from flask import current_app

from mailservice.database import Model, UtcDateTime


def render_item(kind: str, item: object, _: object) -> str | bool:
    """Migrations outlive our classes: they name SQLAlchemy's types only."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def skip_empty(_context: object, _revision: object, directives: list) -> None:
    """`flask db migrate` writes no migration where nothing has changed."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives[:] = []


def run() -> None:
    db = current_app.extensions["migrate"].db
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Model.metadata,
            render_item=render_item,
            process_revision_directives=skip_empty,
            **current_app.extensions["migrate"].configure_args,
        )
        # Batch operations rebuild tables: a foreign key that is enforced meanwhile would drop rows.
        enforce_foreign_keys(connection, False)
        with context.begin_transaction():
            context.run_migrations()
        connection.rollback()
        enforce_foreign_keys(connection, True)


def enforce_foreign_keys(connection: sa.Connection, on: bool) -> None:
    """On SQLite. By the driver itself: within a transaction, which SQLAlchemy would begin, the pragma does nothing."""
    if connection.dialect.name == "sqlite":
        connection.connection.driver_connection.execute(f"PRAGMA foreign_keys = {'ON' if on else 'OFF'}")


if context.is_offline_mode():
    raise SystemExit("offline migrations are not supported; run `flask db upgrade`")
run()
