"""What happens by itself: summaries of sessions, and where they are posted."""
