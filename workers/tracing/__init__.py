"""OpenTelemetry: spans of publishes and runs. Imported only if the environment names a collector (docs/tracing.md)."""
