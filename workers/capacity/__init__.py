"""What runs, what it costs, and how long jobs wait."""
