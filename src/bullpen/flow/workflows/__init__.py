"""Durable functions: one file each."""
