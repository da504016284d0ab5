"""Summaries of sessions, and the channels they are posted to."""
