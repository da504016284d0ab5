"""Automations that were enabled, and their runs."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "automation",
        sa.Column("organization_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("changed_by", sa.String(length=80), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.Column("memory", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_automation")),
    )
    op.create_table(
        "automation_run",
        sa.Column("organization_id", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("automation_id", sa.String(length=40), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("session_id", sa.String(length=40), nullable=False),
        sa.Column("made_at", sa.Float(precision=53), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.Column("ended_at", sa.Float(precision=53), nullable=False),
        sa.Column("holder", sa.String(length=80), nullable=False),
        sa.Column("held_until", sa.Float(precision=53), nullable=False),
        sa.Column("stop", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "id", name=op.f("pk_automation_run")),
    )
    op.create_index("ix_automation_run_of", "automation_run", ["organization_id", "automation_id", "made_at"])
    op.create_index("ix_automation_run_state", "automation_run", ["organization_id", "state"])


def downgrade() -> None:
    op.drop_index("ix_automation_run_state", table_name="automation_run")
    op.drop_index("ix_automation_run_of", table_name="automation_run")
    op.drop_table("automation_run")
    op.drop_table("automation")
