# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of a control plane: other names, renewal while it is asked, after they have expired, after a kill."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
from lab_support import Site
from probe import ApiRead, ApiWrite, api_client, probes

CONTROL_PLANE = "flc1"
RENEW = "playbooks/renew_certificates.yml"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
NAMES = (CONTROL_PLANE, "Renew the API server's certificate with other names")
RENEWED = (CONTROL_PLANE, "Renew the certificates")
COPIED = (CONTROL_PLANE, "Refresh the users' copies of the kubeconfig")
HANDED_OUT = (CONTROL_PLANE, "Keep the kubeconfig on the controller")

#: All certificates end in ten seconds; then everything is started anew, as after a long time and a reboot.
EXPIRE = r"""
set -e
cat > /root/short <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $(kubeadm version --output=short)
certificateValidityPeriod: 10s
END
kubeadm certs renew all --config=/root/short
kubeadm kubeconfig user --config=/root/short --client-name="system:node:$(hostname)" --org=system:nodes \
    --validity-period=10s > /root/kubelet.conf
cd /var/lib/kubelet/pki
for part in certificate key; do
    sed -n "s/.*client-$part-data: //p" /root/kubelet.conf | base64 -d
done > kubelet-client-short.pem
ln -sfn /var/lib/kubelet/pki/kubelet-client-short.pem kubelet-client-current.pem
rm /root/kubelet.conf /root/short
sleep 11
systemctl stop kubelet
for program in etcd kube-apiserver kube-controller-manager kube-scheduler; do
    pkill -KILL -f "^$program" || true
done
systemctl start kubelet
"""

#: A kubelet that asks for more than the inventory has for its node.
FOREIGN = r"""
set -e
names="subjectAltName=DNS:$(hostname),DNS:foreign.example.org,IP:203.0.113.9"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null \
    -subj "/O=system:nodes/CN=system:node:$(hostname)" -addext "$names" -out /root/foreign.csr
kubectl --kubeconfig=/etc/kubernetes/kubelet.conf create --filename=- <<END
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata:
  name: foreign
spec:
  signerName: kubernetes.io/kubelet-serving
  request: $(base64 --wrap=0 < /root/foreign.csr)
  usages: [digital signature, server auth]
END
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster of one control plane."""
    folder: pathlib.Path = tmp_path_factory.mktemp("certificates")
    made = Site(folder, [CONTROL_PLANE], [], variables={"metrics_server_enabled": False, "metallb_enabled": False})
    made.run().expect()
    yield made
    made.close()


def processes(site: Site) -> dict[str, str]:
    """The process of each part of the control plane."""
    return {name: site.control_plane.execute("pgrep", "-f", f"^{name}", check=False).stdout for name in PROGRAMS}


def presented(site: Site) -> set[str]:
    """The names that the API server presents."""
    ask = "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName"
    return set(re.findall(r"(?:DNS|IP Address):([^,\s]+)", site.control_plane.shell(ask)))


def test_other_names(site: Site) -> None:
    before, running = presented(site), processes(site)
    given = json.dumps({"control_plane_cert_sans": ["api.example.org", "203.0.113.1"]})
    checked = site.run("--check", "--diff", "--extra-vars", given).expect(changed=[NAMES])
    assert "+203.0.113.1" in checked.output and "+api.example.org" in checked.output
    assert presented(site) == before
    site.run("--extra-vars", given).expect(changed=[NAMES])
    assert presented(site) == before | {"api.example.org", "203.0.113.1"}
    configuration = site.control_plane.kubectl("get", "configmap/kubeadm-config", "-n=kube-system", "-o=yaml")
    assert "api.example.org" in configuration
    site.run("--extra-vars", given).expect(changed=[])
    site.run().expect(changed=[NAMES])
    assert presented(site) == before
    assert processes(site) == running


def test_all_are_renewed_without_a_failed_request(site: Site) -> None:
    running = processes(site)
    client = api_client(site.artifacts / "test" / "admin.conf")
    everything = ("--extra-vars", '{"certificates_renew_all": true}')
    checked = site.run("--check", *everything, playbook=RENEW).expect(changed=[RENEWED])
    with probes(ApiRead("read", client), ApiWrite("write", client)) as reports:
        result = site.run("--diff", *everything, playbook=RENEW).expect(changed=[RENEWED, COPIED, HANDED_OUT])
    assert [(report.failed, report.lost) for report in reports] == [(0, []), (0, [])]
    assert checked.recap[CONTROL_PLANE]["failed"] == 0 and "super-admin.conf: expires" in result.output
    restarted = {name for name, pid in processes(site).items() if pid != running[name]}
    assert restarted == {"kube-controller-manager", "kube-scheduler"}
    site.run(playbook=RENEW).expect(changed=[])
    site.run().expect(changed=[])


def test_a_run_that_was_killed_is_finished(site: Site) -> None:
    running = processes(site)
    everything = ("--extra-vars", '{"certificates_renew_all": true}')
    site.control_plane.shell("touch /root/before")
    run = site.start(*everything, playbook=RENEW)
    assert run.sees(site.control_plane, "test /etc/kubernetes/scheduler.conf -nt /root/before"), run.output
    # The module goes on without Ansible; it is killed, too.
    site.control_plane.execute("pkill", "-KILL", "-f", "^/usr/bin/python3")
    run.kill()
    result = site.run(playbook=RENEW).expect()
    assert RENEWED in result.changed, result.output
    now = processes(site)
    assert now["kube-scheduler"] != running["kube-scheduler"] and now["etcd"] == running["etcd"]
    site.run(playbook=RENEW).expect(changed=[])


def test_expired_certificates(site: Site) -> None:
    site.control_plane.execute("bash", "-c", EXPIRE)
    named = site.run(playbook="playbooks/verify.yml").expect(rc=2).output
    assert "These certificates have expired: apiserver, " in named and "EXPIRED" in named
    site.run("--check", playbook=RENEW).expect()
    site.run(playbook=RENEW).expect()
    site.run(playbook=RENEW).expect(changed=[])
    site.expect_settled()


def test_foreign_requests_are_reported(site: Site) -> None:
    site.control_plane.execute("bash", "-c", FOREIGN)
    built = site.run("--tags", "nodes").expect(changed=[]).output
    verified = site.run(playbook="playbooks/verify.yml").expect().output
    for output in (built, verified):
        (warning,) = re.findall(r"^\[WARNING\]: (.*\bforeign .*)$", output, re.MULTILINE)
        for word in (CONTROL_PLANE, "foreign.example.org", "203.0.113.9"):
            assert word in warning
    assert "Pending" in site.control_plane.kubectl("get", "csr", "foreign")
