# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site mirror's web server: `fileserver.py ADDRESS PORT FOLDER`. Logs errors only."""

from __future__ import annotations

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class Handler(SimpleHTTPRequestHandler):
    """Serves files over connections that stay open: apt asks for many, one after the other."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing about requests that went well."""
        if not str(getattr(code, "value", code)).startswith(("2", "3")):
            super().log_request(code, size)


def main(address: str, port: str, folder: str) -> None:
    """Serve a folder until the process is ended."""
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer((address, int(port)), functools.partial(Handler, directory=folder)).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
