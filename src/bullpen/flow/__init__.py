"""Direction: from a repository to proved changes."""
