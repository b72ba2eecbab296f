"""Reads any project's Celery app, schedule and process files, and names what breaks a practice (docs/lift.md).

It imports the app's modules. It changes nothing, starts nothing, and connects to no server, so it needs none of this
site's settings. What it cannot see is unknown, with the reason: a guess is never a finding.
"""
