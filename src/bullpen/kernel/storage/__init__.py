"""Storage: engine, unit of work, organization-scoped tables, migrations."""
