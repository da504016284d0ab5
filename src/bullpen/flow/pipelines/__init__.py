"""Pipelines: a project's own checks, run locally in the sandbox."""
