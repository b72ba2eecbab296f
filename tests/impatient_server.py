"""`python -m tests.impatient_server`: the site's web server, which waits a second for a client."""

from config import server
from mediaapp.gateway import body, sending

server.HEADER_SECONDS = body.SILENT_SECONDS = sending.SILENT_SECONDS = 1

if __name__ == "__main__":
    server.serve(server.SITE)
