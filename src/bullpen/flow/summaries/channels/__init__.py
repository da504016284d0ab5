"""Where summaries are posted, one file each."""
