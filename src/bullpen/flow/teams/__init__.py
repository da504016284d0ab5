"""A group of agents at work on one goal: who does what is chosen, recorded, tried again, collected and reported."""
