"""What may begin an automation, one file each."""
