"""Workflows as data: files with typed steps, checked on load, run as durable functions."""
