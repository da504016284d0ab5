"""Reasons an item carries that others must be able to tell apart."""

BEYOND = "beyond the number of items asked for (--max)"
MENDED = "an earlier change mended it"
REFUSED_BEFORE = "refused before: "  # and why; what follows is for people
AT_ODDS = "at odds with another finding: "  # and what was decided, or who is asked
