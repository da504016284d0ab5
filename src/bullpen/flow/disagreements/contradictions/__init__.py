"""What contradicts what: one YAML file for each contradiction, read by ``base.load_contradictions``."""
