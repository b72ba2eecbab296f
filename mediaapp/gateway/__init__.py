"""Between the web server's event loop and the WSGI site: a slow client holds a socket, never a thread.

The loop receives the whole request, one of few threads runs the site's code, and the loop sends the response
(docs/decisions/0006-slow-clients.md).
"""
