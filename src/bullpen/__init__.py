"""Bullpen: a self-hosted control plane for teams of software-engineering agents."""
