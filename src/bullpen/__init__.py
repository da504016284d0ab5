"""Bullpen: a self-hosted control plane for teams of software-engineering agents."""

__version__ = "0.1.0"
