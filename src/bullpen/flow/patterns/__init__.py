"""Ways in which agents work together: one file each, a function from a goal and its agents to a course of tasks."""
