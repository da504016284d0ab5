"""Findings that cannot both be followed: which they are, how personas vote on them, and what decides else."""
