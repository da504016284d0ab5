"""Sessions and scratchpads."""
