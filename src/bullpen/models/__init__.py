"""The model registry: what agents think with."""
