"""What a session came to, for people and programs."""
