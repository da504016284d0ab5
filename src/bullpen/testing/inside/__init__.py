"""Modules that run inside the sandbox with the project's own interpreter; they import nothing of Bullpen."""
