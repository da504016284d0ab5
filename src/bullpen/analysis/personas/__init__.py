"""Points of view as Markdown cards."""
