"""Actions that can be run here: one file each, named after the action (``actions/cache`` is ``actions_cache``)."""
