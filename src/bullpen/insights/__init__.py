"""Learning over finished runs: what works for which kind of item, how agents do, and settings that follow. Pure."""
