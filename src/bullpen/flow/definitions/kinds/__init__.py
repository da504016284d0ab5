"""Kinds of steps: one file each, named after the kind, with a ``Kind`` called ``KIND``."""
