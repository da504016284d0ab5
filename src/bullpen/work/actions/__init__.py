"""Changing work: one file for items, tasks, approvals and evidence each."""
