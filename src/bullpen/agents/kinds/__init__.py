"""Kinds of agent: one file each; the file name is the kind's name."""
