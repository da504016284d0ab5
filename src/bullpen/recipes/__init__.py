"""Deterministic code changes, one file per family; each module has ``RECIPES``, a tuple of recipes."""
