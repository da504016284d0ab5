"""Families of tools: one file each, with a tuple ``TOOLS``."""
