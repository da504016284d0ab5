"""The event log: outbox, audit trail, live feed and replay in one."""
