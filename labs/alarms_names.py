"""The tasks by which labs/alarms.py breaks practices, by name: it must not import them, which would break them too."""

REPORTING, SILENT, SLOW = (f"labs.alarms_task.{name}" for name in ("report_for_ever", "report_nothing", "run_slowly"))
GREEDY = "workers.default.tasks.delete_files"  # the table has it, and nobody publishes it any more
MAIL = "workers.default.tasks.send_password_reset"
SLOW_SECONDS = 0.5
