# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that somebody else controls asks for certificates with its own credential, and gets none of another's."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import subprocess
import typing as t

import pytest
from lab_support import BIN, ROOT, Site

from lab import debian

CONTROL_PLANE, WORKER = "trust1", "trust2"
#: Root has given it to the worker's interface.
FOREIGN = "203.0.113.77"
SERVICE = "10.96.0.1"
#: A name that clears the screen and rings.
EVIL = "a\x1b[2J\x07b"

_CONFIGURATION = """\
[req]
prompt = no
distinguished_name = name
req_extensions = more
[name]
O = system:nodes
CN = system:node:{name}
[more]
subjectAltName = @names
[names]
"""


@dataclasses.dataclass(frozen=True)
class Asker:
    """Makes requests as kubelets do, with names of one's choice."""

    site: Site
    folder: pathlib.Path

    def request(self, *names: str) -> str:
        """A signed request for ``names``, each as DNS:... or IP:..."""
        debian.install({"openssl": "openssl"})
        configuration = self.folder / "request.cnf"
        lines = [f"{kind}.{number} = {name}" for number, (kind, name) in enumerate(n.split(":", 1) for n in names)]
        configuration.write_text(_CONFIGURATION.format(name=WORKER) + "\n".join(lines) + "\n")
        argv = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        argv += ["-config", str(configuration), "-keyout", str(self.folder / "request.key")]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def send(self, name: str, request: str) -> None:
        """Send it with the credential of the worker's kubelet."""
        item = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": base64.b64encode(request.encode()).decode(),
                "signerName": "kubernetes.io/kubelet-serving",
                "usages": ["digital signature", "server auth"],
            },
        }
        argv = ["kubectl", "--kubeconfig=/etc/kubernetes/kubelet.conf", "create", "--filename=-"]
        self.site.nodes[WORKER].execute(*argv, stdin=json.dumps(item))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A control plane and a worker."""
    variables = {"metallb_address_pools": [], "metrics_server_enabled": False}
    made = Site(tmp_path_factory.mktemp("trust"), [CONTROL_PLANE], [WORKER], variables=variables)
    made.run().expect()
    yield made
    made.close()


@pytest.fixture(scope="module")
def sent(site: Site, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of the requests that the worker has sent."""
    asker = Asker(site, tmp_path_factory.mktemp("requests"))
    control_plane, worker = site.nodes[CONTROL_PLANE], site.nodes[WORKER]
    worker.shell(f"ip address add {FOREIGN}/32 dev eth0")
    own = (f"DNS:{WORKER}", f"IP:{worker.address}")
    innocent = asker.request(*own)
    begin, end = "-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----"
    other = asker.request("DNS:kubernetes.default.svc", f"IP:{SERVICE}")
    body = "".join(innocent.replace(begin, "").replace(end, "").split())
    requests = {
        # Go takes the line of the innocent one for a header.
        "evil-header": other.replace(begin, f"{begin}\n{body}{end}:x\n", 1),
        "evil-interface": asker.request(*own, f"IP:{FOREIGN}"),
        "evil-address": asker.request(*own, f"IP:{control_plane.address}"),
        "evil-service": asker.request(*own, f"IP:{SERVICE}", "IP:127.0.0.1"),
        "evil-name": asker.request(*own, f"DNS:{CONTROL_PLANE}", "DNS:kubernetes.default.svc"),
        "evil-terminal": asker.request(*own, f"DNS:{EVIL}"),
    }
    for name, request in requests.items():
        asker.send(name, request)
    return list(requests)


def decided(site: Site) -> list[str]:
    """The requests of ours that somebody has decided on."""
    items = json.loads(site.control_plane.kubectl("get", "certificatesigningrequests", "--output=json"))["items"]
    return [
        item["metadata"]["name"]
        for item in items
        if item["metadata"]["name"].startswith("evil-") and item.get("status", {}).get("conditions")
    ]


def test_a_run_approves_none_of_them_and_names_all(site: Site, sent: list[str]) -> None:
    result = site.run().expect(changed=[])
    assert decided(site) == []
    said = " ".join(result.output.split())
    assert [name for name in sent if f"{name} of {WORKER} stays pending" not in said] == []
    assert "expected one PEM block CERTIFICATE REQUEST and nothing else" in said
    for address in (FOREIGN, SERVICE, "127.0.0.1", site.nodes[CONTROL_PLANE].address):
        assert f"it asks for the address {address}, allowed are {site.nodes[WORKER].address}" in said, address
    assert f"it asks for the name {CONTROL_PLANE}, allowed are {WORKER}" in said
    assert "it asks for the name a\\x1b[2J\\x07b, allowed" in said
    assert "\x1b" not in result.output and "\x07" not in result.output


def test_verify_names_them_with_escapes(site: Site, sent: list[str]) -> None:
    result = site.run(playbook="playbooks/verify.yml").expect()
    said = " ".join(result.output.split())
    assert [name for name in sent if f"The request {name} of {WORKER}" not in said] == []
    assert "\x1b" not in result.output and "\x07" not in result.output


def test_the_module_leaves_them_pending_for_whoever_calls_it(site: Site, sent: list[str]) -> None:
    nodes = [{"name": name, "addresses": [node.address]} for name, node in site.nodes.items()]
    arguments = json.dumps({"nodes": nodes, "wait": False})
    argv = [
        BIN / "ansible",
        CONTROL_PLANE,
        "-i",
        site.inventory,
        "--become",
        "-m",
        "slipway.kubernetes.kube_csr_approve",
    ]
    done = subprocess.run([*argv, "-a", arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "approved: []" in done.stdout, done.stdout + done.stderr
    assert [name for name in sent if f"request: {name}\n" not in done.stdout] == []
    assert decided(site) == [] and "\x1b" not in done.stdout + done.stderr
