"""How a project wants its files to look: by its own configuration, and by what its files look like."""
