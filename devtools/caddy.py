"""The proxy of docker-compose.yml, without TLS, before a site on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from devtools.ports import free_port, is_answering
from devtools.processes import ready_process

CADDYFILE = """
{{
    admin off
}}
http://127.0.0.1:{port} {{
    reverse_proxy 127.0.0.1:{site}
}}
"""


@contextmanager
def caddy(site: int) -> Iterator[int]:
    """Yields the proxy's port. site: the site's."""
    with TemporaryDirectory(prefix="caddy-") as folder:
        port, config = free_port(), Path(folder, "Caddyfile")
        config.write_text(CADDYFILE.format(port=port, site=site))
        command = ["caddy", "run", "--config", str(config)]
        home = {"HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        with ready_process("caddy", command, home, is_ready=partial(is_answering, port, "/healthz")):
            yield port
