"""What goes into a model's window, and why."""
