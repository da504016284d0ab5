"""Coding assistants with a command line: one file each; the file name is the name."""
