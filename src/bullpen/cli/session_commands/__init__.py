"""Commands below ``bullpen sessions``, one file each subject; ``commands/sessions.py`` gathers them."""
