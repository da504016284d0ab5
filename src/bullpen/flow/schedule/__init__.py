"""Which agent does which task, and why: functions over snapshots, without I/O and without tokens."""
