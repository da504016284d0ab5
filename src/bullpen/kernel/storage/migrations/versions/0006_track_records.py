"""What became of an agent's attempts, and its track record."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("task_attempt") as table:
        table.add_column(sa.Column("performer", sa.String(length=200), nullable=False, server_default=""))
        table.add_column(sa.Column("outcome", sa.String(length=20), nullable=False, server_default=""))
        table.create_index("ix_task_attempt_running", ["organization_id", "state", "started_at"])
    op.create_table(
        "agent_record",
        sa.Column("organization_id", sa.String(length=40), nullable=False),
        sa.Column("performer", sa.String(length=200), nullable=False),
        sa.Column("skill", sa.String(length=200), nullable=False),
        sa.Column("wins", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("fades", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Float(precision=53), nullable=False),
        sa.Column("cost", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "performer", "skill", name=op.f("pk_agent_record")),
    )


def downgrade() -> None:
    op.drop_table("agent_record")
    with op.batch_alter_table("task_attempt") as table:
        table.drop_index("ix_task_attempt_running")
        table.drop_column("outcome")
        table.drop_column("performer")
