"""Small faults put into lines of code, one file per language."""
