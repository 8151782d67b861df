"""imports of clients: files, their rows, and which import made a client

The trigger goes with its table; a later migration that copies `imports` on SQLite has to make it again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATUSES = ("draft", "checking", "checked", "running", "done", "undoing", "undone", "failed")
STATES = ("new", "changed", "unchanged", "duplicate", "invalid", "suppressed")
AT_WORK = sa.text("status IN ('checking', 'running', 'undoing')")
NUMBERS = ("number", "applied", "undone", *STATES, "removed", "restored")


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("owner_id", BIG_ID, nullable=False),
        sa.Column("status", _enum("importstatus", STATUSES), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("stored", sa.String(length=80), nullable=False),
        sa.Column("kind", _enum("filekind", ("text", "workbook")), nullable=False),
        sa.Column("encoding", sa.String(length=20), nullable=False),
        sa.Column("delimiter", sa.String(length=1), nullable=False),
        sa.Column("has_header", sa.Boolean(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        sa.Column("overwrites", sa.Boolean(), nullable=False),
        sa.Column("size", BIG_ID, nullable=False),
        sa.Column("start", BIG_ID, nullable=False),
        sa.Column("position", BIG_ID, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in NUMBERS),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_imports_owner_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_imports_owner_id_created_at", "imports", ["owner_id", "created_at"])
    op.create_index("ix_imports_open", "imports", ["touched_at"], postgresql_where=AT_WORK, sqlite_where=AT_WORK)
    op.create_table(
        "import_rows",
        sa.Column("import_id", BIG_ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", _enum("rowstate", STATES), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("email_normalised", sa.String(length=320), nullable=True),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("old_full_name", sa.String(length=200), nullable=True),
        sa.Column("old_comment", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("pk_import_rows")),
    )
    op.create_index("ix_import_rows_email_normalised", "import_rows", ["email_normalised"])
    delete = "DELETE FROM import_rows WHERE import_id = OLD.id"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"""
            CREATE FUNCTION imports_take_rows_along() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN {delete}; RETURN NULL; END $$
        """)
        body = "EXECUTE FUNCTION imports_take_rows_along()"
    else:
        body = f"BEGIN {delete}; END"
    op.execute(f"CREATE TRIGGER imports_take_rows_along AFTER DELETE ON imports FOR EACH ROW {body}")
    op.add_column("clients", sa.Column("import_id", BIG_ID, nullable=True))


def downgrade() -> None:
    op.drop_column("clients", "import_id")
    op.drop_table("import_rows")
    op.drop_table("imports")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION imports_take_rows_along()")


def _enum(name: str, words: tuple[str, ...]) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=20)
