"""Who waits for an agent, in all sessions of all processes, so that each gets its turn."""
