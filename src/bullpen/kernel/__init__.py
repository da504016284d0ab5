"""Machinery without product words."""
