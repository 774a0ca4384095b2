# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How TLS servers of a cluster are verified: by the cluster's CA as Kubernetes itself does it, and not more strictly.

``ssl.create_default_context`` is not that: since Python 3.13 it refuses a CA without a key usage, as ``openssl req
-x509`` makes it, and every certificate of such a CA. kubeadm and Go accept both.

Private to this collection.
"""

from __future__ import annotations

import ssl

#: ssl.VERIFY_X509_PARTIAL_CHAIN, which Python names since 3.10.
_PARTIAL_CHAIN = 0x80000


def _as_go_does() -> ssl.SSLContext:
    """Each certificate that is trusted is, whoever signed it; a common name is no name of a server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= _PARTIAL_CHAIN
    context.hostname_checks_common_name = False
    return context


def verified_by(ca_file: str = "", ca_content: str = "") -> ssl.SSLContext:
    """Servers must present a certificate of a CA in the file or the text, valid for the name they are reached by.

    A cluster's CA may be an intermediate one.

    :raises OSError: when the file cannot be read or holds no certificate (``ssl.SSLError`` is one, too).
    """
    context = _as_go_does()
    context.load_verify_locations(cafile=ca_file or None, cadata=ca_content or None)
    return context


def verified_by_system(ca_file: str = "", ca_content: str = "") -> ssl.SSLContext:
    """Servers of others: by the authorities of the system, and by those in a file or a text, where one is given.

    :raises OSError: when the file or the text holds no certificate.
    """
    context = _as_go_does()
    context.load_default_certs()
    if ca_file or ca_content:
        context.load_verify_locations(cafile=ca_file or None, cadata=ca_content or None)
    return context


def unverified() -> ssl.SSLContext:
    """Whatever a server presents is taken: for callers that compare the certificate themselves, or trust nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
