"""What the formation costs, what it did last week, and what one dyno more or less would do. `manage.py budget`."""
