"""Roles as Markdown cards."""
