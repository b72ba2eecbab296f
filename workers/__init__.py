"""All background work: tasks, the life of a job, the nine practices, and what they stand on."""
