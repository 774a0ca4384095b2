# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstrap tokens are in the API while they are needed, and nowhere else, at no time after.

The tests know the tokens, because they watch the API. /var/lib/etcd is the API's own storage and is left out.
"""

from __future__ import annotations

import base64
import pathlib
import re
import subprocess
import time
import typing as t

import pytest
from lab_support import ROOT, Node, Site

CONTROL_PLANE, WORKER = "flt5", "flt6"

#: On machines. The journal is read as text besides: its files may be compressed.
PLACES = ("/var/log", "/etc", "/var/lib", "/root", "/tmp", "/run", "/home")
#: The API's storage, and control groups below /run, which are no files to read.
EXCLUDED = ("--exclude-dir=etcd",)

#: How kubeadm and its documents name the key that control plane certificates are encrypted with.
CERTIFICATE_KEY = r"certificate-?key[\"' :=]+[0-9a-f]{64}"

# kubectl is absent at first, then there is no API, then the watch ends with each restart of the API server.
_WATCH = r"""
template='{.data.token-id} {.data.token-secret}{"\n"}'
while :; do
    kubectl --kubeconfig=/etc/kubernetes/admin.conf get secrets --namespace=kube-system --watch \
        --field-selector=type=bootstrap.kubernetes.io/token --output=jsonpath="$template" 2>/dev/null
    sleep 0.1
done
"""
# What stands in argument lists of processes and looks like a token.
_ARGUMENTS = r"""
while :; do
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -aoE '[a-z0-9]{6}\.[a-z0-9]{16}'
    sleep 0.1
done
"""


class Watch:
    """Sees the tokens that a cluster has while a run goes, and argument lists on its machines."""

    def __init__(self, site: Site) -> None:
        self._folder = site.folder
        self._watches: list[tuple[subprocess.Popen[str], t.Any]] = []
        self._site = site

    def __enter__(self) -> Watch:
        self._tokens = self._start(self._site.control_plane, _WATCH)
        self._arguments = [self._start(node, _ARGUMENTS) for node in self._site.nodes.values()]
        return self

    def __exit__(self, *_error: object) -> None:
        # The last event may be on its way.
        time.sleep(1)
        for watch in (self._tokens, *self._arguments):
            watch.kill()
        self.tokens = dict(line.split() for line in self._read(self._tokens) if len(line.split()) == 2)
        self.arguments = {line for watch in self._arguments for line in self._read(watch)}
        for node in self._site.nodes.values():
            # docker leaves what it has started in a container when its client is killed.
            node.shell("pkill -KILL -f '[s]leep 0.1'; pkill -KILL -f '[b]ootstrap.kubernetes.io/token'", check=False)

    @staticmethod
    def _start(node: Node, script: str) -> subprocess.Popen[str]:
        # Nothing is written to files: they would be found.
        argv = ["docker", "exec", node.container, "sh", "-c", script]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    @staticmethod
    def _read(watch: subprocess.Popen[str]) -> list[str]:
        return watch.communicate()[0].splitlines()

    @property
    def needles(self) -> list[str]:
        """The secret parts of all tokens that there were, as text and as the API has them."""
        secrets = [base64.b64decode(encoded).decode() for encoded in self.tokens.values()]
        return secrets + list(self.tokens.values())

    def expect_no_traces(self, output: str) -> None:
        """Assert that no token, and nothing like a certificate key, is left anywhere."""
        needles = self.needles
        tokens = {base64.b64decode(secret).decode() for secret in self.tokens.values()}
        assert not [argument for argument in self.arguments if argument.partition(".")[2] in tokens]
        assert not [needle for needle in needles if needle in output]
        assert not re.search(CERTIFICATE_KEY, output, re.IGNORECASE)
        for node in self._site.nodes.values():
            assert traces(node, needles) == [], node.name
        for folder in (ROOT, self._folder, pathlib.Path.home() / ".ansible"):
            found = subprocess.run(
                ["grep", "-rlaF", "-f", "-", folder],
                input="\n".join(needles),
                capture_output=True,
                text=True,
                check=False,
            )
            assert found.stdout == ""


def traces(node: Node, needles: t.Sequence[str]) -> list[str]:
    """Where any of the secrets, or something like a certificate key, stands on a machine."""
    patterns = "\n".join(needles)
    found = node.execute("grep", "-rlaF", *EXCLUDED, "-f", "-", *PLACES, stdin=patterns, check=False).stdout.split()
    found += node.execute(
        "grep", "-rlaiE", *EXCLUDED, "--exclude-dir=containerd", CERTIFICATE_KEY, *PLACES, check=False
    ).stdout.split()
    journal = "journalctl --no-pager --all --output=export | grep -caF -f /dev/fd/3 3<<END\n" + patterns + "\nEND\n"
    count = node.execute("sh", "-s", stdin=journal, check=False).stdout.strip()
    return found + ([f"{count} entries of the journal"] if count != "0" else [])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Two fresh machines."""
    folder: pathlib.Path = tmp_path_factory.mktemp("secrets")
    made = Site(
        folder,
        [CONTROL_PLANE],
        [WORKER],
        systems={WORKER: "debian13"},
        variables={"metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.215-172.30.0.219"]}]},
    )
    yield made
    made.close()


def test_a_whole_run_leaves_no_secret_anywhere(site: Site) -> None:
    with Watch(site) as watch:
        result = site.run("-vvv").expect()
    # kubeadm's own one, and the one for joining.
    assert len(watch.tokens) == 2
    assert site.bootstrap_tokens() == []
    watch.expect_no_traces(result.output)


def test_kubeconfigs_are_for_their_owner_only(site: Site) -> None:
    fetched = site.artifacts / "test" / "admin.conf"
    assert fetched.stat().st_mode & 0o777 == 0o600
    assert fetched.parent.stat().st_mode & 0o777 == 0o700
    for node in site.nodes.values():
        script = (
            "find /etc/kubernetes/*.conf /root/.kube /home/*/.kube -name cache -prune -o -type f -printf '%m %p\\n'"
        )
        modes = node.shell(script, check=False).splitlines()
        assert modes
        assert [line for line in modes if not line.startswith("600 ")] == []


def renew_worker(site: Site) -> None:
    """The worker becomes a bare machine that the cluster does not know."""
    site.control_plane.kubectl("delete", "node", WORKER, "--ignore-not-found")
    site.renew(WORKER)


def test_no_token_is_left_when_kubeadm_refuses_to_join(site: Site) -> None:
    renew_worker(site)
    with Watch(site) as watch:
        run = site.start("-vvv")
        # After preflight, which would have refused it.
        assert run.reaches("Install and hold the Kubernetes packages")
        site.nodes[WORKER].shell("systemd-run --quiet --unit=foreign python3 -m http.server 10250")
        result = run.wait()
    assert result.rc != 0, result.output
    assert "10250" in result.output
    assert len(watch.tokens) == 1
    assert site.bootstrap_tokens() == []
    watch.expect_no_traces(result.output)


def test_no_token_is_left_when_the_join_dies_in_the_middle(site: Site) -> None:
    site.nodes[WORKER].shell("systemctl stop foreign")
    with Watch(site) as watch:
        run = site.start("-vvv")
        # The kubelet's way to its certificate: a file with the token.
        assert run.sees(site.nodes[WORKER], "test -s /etc/kubernetes/bootstrap-kubelet.conf")
        site.nodes[WORKER].shell("pkill -KILL -x kubeadm")
        result = run.wait()
    assert result.rc != 0, result.output
    assert len(watch.tokens) == 1
    assert site.bootstrap_tokens() == []
    watch.expect_no_traces(result.output)


def test_the_next_run_joins(site: Site) -> None:
    with Watch(site) as watch:
        result = site.run("-vvv").expect()
    assert len(watch.tokens) == 1
    assert site.unready_nodes() == []
    watch.expect_no_traces(result.output)
