"""The tasks of the worker default: reset mails and short housekeeping."""
