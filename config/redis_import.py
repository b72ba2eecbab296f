"""Imports redis-py without OpenTelemetry, whose SDK it would import for metrics that nobody asked it for.

That takes 0.07 s of a processor and 3 MB in each process (docs/facts/tools.md#opentelemetry). Import this module before
all that need redis-py.
"""

import sys

if "opentelemetry" in sys.modules:
    import redis
else:
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]  # an import of it raises ImportError
    import redis

    del sys.modules["opentelemetry"]

__all__ = ["redis"]
