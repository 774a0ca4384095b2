# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _tls

PLUGINS = Path(_tls.__file__).resolve().parents[1]
LEAF = "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n"
#: No key usage: kubeadm and Go accept such authorities, a strict OpenSSL does not.
AUTHORITY = "basicConstraints=critical,CA:TRUE\n"


class Pki:
    """Certificates of a test, made by openssl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _openssl(self, *argv: str) -> None:
        subprocess.run(["openssl", *argv], cwd=self.folder, check=True, capture_output=True)

    def sign(self, name: str, extensions: str, by: str) -> None:
        """A key and a certificate for ``name``; it signs itself when ``by`` is its own name."""
        (self.folder / f"{name}.ext").write_text(extensions)
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}"]
        self._openssl("req", "-new", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signer = ["-signkey", f"{by}.key"] if by == name else ["-CA", f"{by}.crt", "-CAkey", f"{by}.key"]
        serial = [] if by == name else ["-CAcreateserial"]
        self._openssl(
            *["x509", "-req", "-in", f"{name}.csr", *signer, *serial, "-days", "2"],
            *["-extfile", f"{name}.ext", "-out", f"{name}.crt"],
        )

    def path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.sign("root", AUTHORITY, by="root")
    made.sign("intermediate", AUTHORITY, by="root")
    made.sign("other", AUTHORITY, by="other")
    made.sign("server-root", LEAF, by="root")
    made.sign("server-intermediate", LEAF, by="intermediate")
    made.sign("localhost", "basicConstraints=CA:FALSE\n", by="root")
    return made


def handshake(client: ssl.SSLContext, pki: Pki, server: str, name: str = "127.0.0.1") -> t.Optional[str]:
    """Why the client refuses the server; ``None`` when it does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.path(f"{server}.crt"), pki.path(f"{server}.key"))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _address = listening.accept()
            try:
                context.wrap_socket(connection, server_side=True).close()
            except OSError:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with socket.create_connection(listening.getsockname(), 10) as connection, client.wrap_socket(
                connection, server_hostname=name
            ):
                return None
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        finally:
            thread.join()


def test_an_authority_without_a_key_usage_is_trusted(pki: Pki) -> None:
    assert handshake(_tls.verified_by(pki.path("root.crt")), pki, "server-root") is None


def test_an_intermediate_authority_is_trusted_as_go_does(pki: Pki) -> None:
    assert handshake(_tls.verified_by(pki.path("intermediate.crt")), pki, "server-intermediate") is None


def test_a_mirror_may_have_an_intermediate_authority(pki: Pki) -> None:
    content = (pki.folder / "intermediate.crt").read_text()
    assert handshake(_tls.verified_by_system(ca_content=content), pki, "server-intermediate") is None
    assert handshake(_tls.verified_by_system(pki.path("other.crt")), pki, "server-intermediate")


@pytest.mark.parametrize("verified", [_tls.verified_by, _tls.verified_by_system])
def test_a_common_name_is_no_name_of_a_server(pki: Pki, verified: t.Callable[[str], ssl.SSLContext]) -> None:
    assert handshake(verified(pki.path("root.crt")), pki, "localhost", name="localhost")


def test_another_authority_is_not_trusted(pki: Pki) -> None:
    assert handshake(_tls.verified_by(pki.path("other.crt")), pki, "server-root")


def test_a_certificate_of_another_name_is_not_trusted(pki: Pki) -> None:
    refused = handshake(_tls.verified_by(pki.path("root.crt")), pki, "server-root", name="127.0.0.2")
    assert refused is not None
    assert "127.0.0.2" in refused


def test_a_file_without_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("")
    with pytest.raises(OSError):
        _tls.verified_by(str(tmp_path / "ca.crt"))


def test_what_is_compared_by_the_caller_is_not_verified(pki: Pki) -> None:
    assert handshake(_tls.unverified(), pki, "server-root", name="127.0.0.2") is None


def test_contexts_are_made_in_one_place() -> None:
    """Elsewhere one would be as strict as that machine's Python happens to be."""
    makes = re.compile(r"ssl\.(SSLContext\(|create_default_context|_create)|urlopen\(|HTTPSConnection\((?!.*context=)")
    found = {
        str(path.relative_to(PLUGINS))
        for path in PLUGINS.rglob("*.py")
        if makes.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"module_utils/_tls.py"}
