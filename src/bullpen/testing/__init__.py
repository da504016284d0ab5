"""A project's own tests: find them, run them in the sandbox, read what they say."""
