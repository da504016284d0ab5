"""Work items and task trees, as rows."""
