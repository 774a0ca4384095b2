# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers with TLS on this machine."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import subprocess
import threading
import typing as t
from pathlib import Path


def certificate(folder: Path) -> t.Tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own CA, and its key, new in ``folder``: ``tls.crt`` and ``tls.key``."""
    crt, key = folder / "tls.crt", folder / "tls.key"
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*new, *names, "-keyout", str(key), "-out", str(crt)], check=True, capture_output=True)
    return crt, key


@contextlib.contextmanager
def serving(
    handler: t.Type[http.server.BaseHTTPRequestHandler], crt: Path, key: Path, asks_clients: bool = False
) -> t.Iterator[int]:
    """The port of a server with that certificate.

    :param asks_clients: whether clients have to present one that it has signed, such as itself.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    if asks_clients:
        context.load_verify_locations(crt)
        context.verify_mode = ssl.CERT_REQUIRED
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        yield listener.server_address[1]
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
