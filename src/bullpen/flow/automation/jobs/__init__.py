"""What an automation may do, one file each."""
