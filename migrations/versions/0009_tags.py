"""tags on clients, saved filters, mailings that use them, the conditions of an attempt"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_named("tags", sa.Column("name", sa.String(60), nullable=False), folded=180)
    _create_named(
        "saved_filters",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        folded=300,
    )
    _create_pairs("client_tags", ("client", "clients", "CASCADE"), ("tag", "tags", "CASCADE"))
    op.create_index("ix_client_tags_tag_id", "client_tags", ["tag_id", "client_id"])
    _create_pairs("mailing_filters", ("mailing", "mailings", "CASCADE"), ("filter", "saved_filters", None))
    op.create_index("ix_mailing_filters_filter_id", "mailing_filters", ["filter_id"])
    op.add_column("attempts", sa.Column("filters", sa.JSON(), nullable=True))
    op.create_index("ix_clients_owner_id_id", "clients", ["owner_id", "id"])


def _create_named(table: str, *columns: sa.Column, folded: int) -> None:
    """What an owner has, by name."""
    op.create_table(
        table,
        sa.Column("id", BIG, nullable=False),
        sa.Column("owner_id", BIG, nullable=False),
        *columns,
        sa.Column("name_folded", sa.String(folded), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=f"fk_{table}_owner_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("owner_id", "name_folded", name=f"uq_{table}_owner_id_name_folded"),
        sa.UniqueConstraint("id", "owner_id", name=f"uq_{table}_id_owner_id"),
    )


def _create_pairs(table: str, *sides: tuple[str, str, str | None]) -> None:
    """Rows of one owner that belong together."""
    keys = [f"{word}_id" for word, _, _ in sides]
    op.create_table(
        table,
        *(sa.Column(key, BIG, nullable=False) for key in keys),
        sa.Column("owner_id", BIG, nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [f"{word}_id", "owner_id"],
                [f"{other}.id", f"{other}.owner_id"],
                name=op.f(f"fk_{word}"),
                ondelete=on_delete,
            )
            for word, other, on_delete in sides
        ),
        sa.PrimaryKeyConstraint(*keys, name=f"pk_{table}"),
    )


def downgrade() -> None:
    op.drop_index("ix_clients_owner_id_id", "clients")
    op.drop_column("attempts", "filters")
    for table in ("mailing_filters", "client_tags", "saved_filters", "tags"):
        op.drop_table(table)
