"""From findings to work items: generated, validated, prioritised, ordered. Pure."""
