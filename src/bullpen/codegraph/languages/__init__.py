"""One file per language whose symbols, calls and imports are known."""
