"""What guards look at: tests, directives, configuration, and code that knows it is judged. Pure."""
