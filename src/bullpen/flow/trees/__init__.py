"""Task trees: splitting a goal into tasks, checking the plan, and putting the results together again. Pure."""
