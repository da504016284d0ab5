"""Tools an agent may call: one file per family."""
