"""The staff's search for jobs: read what was typed, find the jobs, and select them for a retry or cancel of many."""
