"""`python -m tests.timed_server`: the site's web server with the times of a test, in seconds.

SILENT_SECONDS: how long it waits for a client. AWAY_SECONDS: how long it remembers that another server is silent.
"""

import os

from config import server
from mediaapp.gateway import body, sending
from workers import cache_breaker, circuit_breaker

server.HEADER_SECONDS = body.SILENT_SECONDS = sending.SILENT_SECONDS = int(os.environ["SILENT_SECONDS"])
circuit_breaker.AWAY_SECONDS = cache_breaker.AWAY_SECONDS = float(os.environ["AWAY_SECONDS"])

if __name__ == "__main__":
    server.serve(server.SITE)
