"""Locks, semaphores and barriers between agents on any number of machines, kept in the database of the records."""
