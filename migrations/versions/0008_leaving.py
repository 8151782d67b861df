"""where clients came from; what they agreed to and why they left; the sign-up form

Columns with a check are added by plain SQL: it is the same on both databases, and SQLite need not copy the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SOURCES = ("unknown", "by_hand", "import", "form")
REASONS = ("unsubscribed", "hard_bounce", "complaint", "by_hand", "imported")
LEAVING = ("too_often", "not_relevant", "never_asked", "other")
TURNS = ("confirmed", "returned", "asked_back", "unsubscribed", "said_why", "took_back", "stopped", "lifted")


def upgrade() -> None:
    _add_enum("clients", "source", "clientsource", SOURCES, "DEFAULT 'unknown' NOT NULL")
    op.add_column("clients", sa.Column("source_detail", sa.String(200), server_default=sa.text("''"), nullable=False))
    _add_enum("suppressions", "before", "before", REASONS)
    _add_enum("suppressions", "leaving", "leavingreason", LEAVING)
    op.add_column("suppressions", sa.Column("said", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_index("ix_suppressions_owner_id_created_at", "suppressions", ["owner_id", "created_at"])
    reasons = ", ".join(f"'{reason}'" for reason in REASONS)
    op.execute(
        f"UPDATE suppressions SET before = detail, detail = '' WHERE reason = 'unsubscribed' AND detail IN ({reasons})"
    )
    _create_consents()
    _create_sign_up_forms()
    _create_sign_ups()


def downgrade() -> None:
    for table in ("sign_ups", "sign_up_forms", "consents"):
        op.drop_table(table)
    op.execute("UPDATE suppressions SET detail = before WHERE before IS NOT NULL")
    op.drop_index("ix_suppressions_owner_id_created_at", "suppressions")
    for name in ("said", "leaving", "before"):
        op.drop_column("suppressions", name)
    for name in ("source_detail", "source"):
        op.drop_column("clients", name)


def _add_enum(table: str, name: str, check: str, words: tuple[str, ...], more: str = "") -> None:
    listed = ", ".join(f"'{word}'" for word in words)
    op.execute(
        f"ALTER TABLE {table} ADD COLUMN {name} VARCHAR(20) {more} "
        f"CONSTRAINT ck_{table}_{check} CHECK ({name} IN ({listed}))"
    )


def _create_consents() -> None:
    turn = sa.Enum(*TURNS, name="turn", native_enum=False, create_constraint=True, length=20)
    op.create_table(
        "consents",
        sa.Column("id", Id, nullable=False),
        sa.Column("owner_id", Id, nullable=False),
        sa.Column("email_normalised", sa.String(320), nullable=False),
        sa.Column("turn", turn, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_consents_owner_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_owner_id_email_normalised", "consents", ["owner_id", "email_normalised"])


def _create_sign_up_forms() -> None:
    op.create_table(
        "sign_up_forms",
        sa.Column("id", Id, nullable=False),
        sa.Column("owner_id", Id, nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("is_open", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("consent_text", sa.Text(), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_sign_up_forms_owner_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_up_forms")),
        sa.UniqueConstraint("key", name=op.f("uq_sign_up_forms_key")),
        sa.UniqueConstraint("owner_id", name=op.f("uq_sign_up_forms_owner_id")),
    )


def _create_sign_ups() -> None:
    op.create_table(
        "sign_ups",
        sa.Column("id", Id, nullable=False),
        sa.Column("owner_id", Id, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_normalised", sa.String(320), nullable=False),
        sa.Column("full_name", sa.String(200), nullable=False),
        sa.Column("consent_text", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(64), nullable=True),
        sa.Column("browser", sa.String(300), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_sign_ups_owner_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ups")),
        sa.UniqueConstraint("owner_id", "email_normalised", name=op.f("uq_sign_ups_owner_id_email_normalised")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_sign_ups_asked_at"), "sign_ups", ["asked_at"])
