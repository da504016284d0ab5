"""Agents: cards, one loop, and what keeps them honest."""
