"""results without a foreign key: checking it cost half of each result; triggers delete them with their deliveries"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The indexes are partial: only a statement that repeats their condition uses them.
OF_GONE = "DELETE FROM results USING gone WHERE delivery_id = gone.id AND state"
FUNCTION = f"""
CREATE FUNCTION delete_results() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {OF_GONE} <> 'deferred';
    {OF_GONE} = 'deferred';
    RETURN NULL;
END $$
"""
TRIGGER = """
CREATE TRIGGER delete_results AFTER DELETE ON deliveries REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION delete_results()
"""
SQLITE_TRIGGER = """
CREATE TRIGGER delete_results AFTER DELETE ON deliveries
BEGIN
    DELETE FROM results WHERE delivery_id = OLD.id AND state <> 'deferred';
    DELETE FROM results WHERE delivery_id = OLD.id AND state = 'deferred';
END
"""
FOREIGN_KEY = "fk_results_delivery_id_deliveries"
COLUMNS = "id, delivery_id, attempt_id, round, state, reason, code, enhanced, reply, tried_at, not_before"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _make_anew()
        op.execute(SQLITE_TRIGGER)
    else:
        op.drop_constraint(FOREIGN_KEY, "results", type_="foreignkey")
        op.execute(FUNCTION)
        op.execute(TRIGGER)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER delete_results")
        _make_anew(sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=FOREIGN_KEY, ondelete="CASCADE"))
    else:
        op.execute("DROP TRIGGER delete_results ON deliveries")
        op.execute("DROP FUNCTION delete_results()")
        op.create_foreign_key(FOREIGN_KEY, "results", "deliveries", ["delivery_id"], ["id"], ondelete="CASCADE")


def _make_anew(*constraints: sa.Constraint) -> None:
    """SQLite cannot drop a constraint: the table is made anew and its rows are moved."""
    op.rename_table("results", "results_before")
    for index in ("ix_results_deferred", "ix_results_trouble", "uq_results_final"):
        op.execute(f"DROP INDEX {index}")
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "results",
        sa.Column("id", big, nullable=False),
        sa.Column("delivery_id", big, nullable=False),
        sa.Column("attempt_id", big, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("state", _words("state", STATES), nullable=False),
        sa.Column("reason", _words("reason", REASONS), nullable=True),
        sa.Column("code", sa.SmallInteger(), nullable=True),
        sa.Column("enhanced", sa.String(length=16), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        *constraints,
        sa.PrimaryKeyConstraint("id", name="pk_results"),
    )
    op.execute(f"INSERT INTO results ({COLUMNS}) SELECT {COLUMNS} FROM results_before")
    op.drop_table("results_before")
    for name, columns, condition in (
        ("ix_results_deferred", ["delivery_id"], "state = 'deferred'"),
        ("ix_results_trouble", ["attempt_id", "state"], "state <> 'sent'"),
        ("uq_results_final", ["delivery_id", "round"], "state <> 'deferred'"),
    ):
        op.create_index(name, "results", columns, unique=name.startswith("uq"), sqlite_where=sa.text(condition))


def _words(name: str, words: str) -> sa.Enum:
    return sa.Enum(*words.split(), name=name, native_enum=False, create_constraint=True, length=20)


STATES = "deferred sent failed unknown skipped cancelled"
REASONS = (
    "missed overlap paused empty ended stale disabled blocked unconfirmed by_owner refused sender_refused too_big "
    "bad_message suppressed client_deleted"
)
