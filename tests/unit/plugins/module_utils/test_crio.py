# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRI-O: its files, what is known of one that is there, its pods."""

from __future__ import annotations

import base64
import json
import re
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import MARK
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import crio
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

if sys.version_info >= (3, 11):
    import tomllib as toml
else:
    toml = pytest.importorskip("tomli")

PAUSE = "registry.k8s.io/pause:3.10.2"
SOCKET = "unix:///var/run/crio/crio.sock"
PEM = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----"
MIRROR = {"url": "https://m.example.com:5000/v2/docker.io"}
LOGIN = {**MIRROR, "username": "u", "password": "hunter2", "ca": PEM}
#: As upstream's package brings it.
PACKAGED = """[crio.image]
signature_policy = "/etc/crio/policy.json"

[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
runtime_root = "/run/crun"
monitor_path = "/usr/libexec/crio/conmon"
allowed_annotations = [
    "io.containers.trace-syscall",
]
"""
#: What `crun --version` and `runc --version` of Debian 12 print.
CRUN = """crun version 1.8.1
commit: f8a096be060b22ccd3d5f3ebe44108517fbf6c30
rundir: /run/crun
spec: 1.0.0
+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +CRIU +WASM:wasmedge +YAJL
"""
RUNC = "runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\ngo: go1.19.8\nlibseccomp: 2.5.4\n"


def files(mirrors: t.Dict[str, t.Any], **more: t.Any) -> t.Dict[str, t.Dict[str, t.Any]]:
    return {file["path"]: file for file in crio.crio_files(mirrors, **more)}


def test_without_mirrors_nothing_of_them_is_there() -> None:
    found = files({})
    assert [path for path, file in found.items() if file.get("state") == "absent"] == [
        "/etc/containers/registries.conf.d/90-slipway.conf",
        "/etc/crio/slipway-auth.json",
    ]
    assert toml.loads(found[crio.DROP_IN]["content"]) == {
        "crio": {
            "runtime": {"cgroup_manager": "systemd", "conmon_cgroup": "pod"},
            "network": {"network_dir": "/etc/cni/net.d/", "plugin_dirs": ["/opt/cni/bin/"]},
        }
    }
    policy = found["/etc/containers/policy.json"]
    assert policy["keep"] and json.loads(policy["content"]) == {"default": [{"type": "insecureAcceptAnything"}]}


def test_settings_are_merged_over_ours() -> None:
    own = {"crio": {"runtime": {"pids_limit": 4096, "default_runtime": "runc"}, "image": {"pause_image": "a/b:1"}}}
    found = files({}, sandbox_image=PAUSE, overrides=own)[crio.DROP_IN]["content"]
    assert found.startswith(f"# {MARK}")
    said = toml.loads(found)["crio"]
    assert said["runtime"] == {
        **{"cgroup_manager": "systemd", "conmon_cgroup": "pod", "pids_limit": 4096, "default_runtime": "runc"}
    }
    assert said["image"] == {"pause_image": "a/b:1"}


def test_mirrors_in_their_order_with_logins_and_authorities() -> None:
    plain = {"url": "http://172.30.0.1:5000"}
    pull = {"url": "https://other.example.com", "capabilities": ["pull"], "ca": PEM}
    resolve = {"url": "https://names.example.com", "capabilities": ["resolve"]}
    private = {"url": "http://registry.example.com"}
    mirrors = {"quay.io": [resolve], "docker.io": [LOGIN, plain, pull], "registry.example.com": [private]}
    found = files(mirrors, sandbox_image=PAUSE)
    assert toml.loads(found["/etc/containers/registries.conf.d/90-slipway.conf"]["content"]) == {
        "registry": [
            {
                "prefix": "docker.io",
                "location": "docker.io",
                "mirror": [
                    {"location": "m.example.com:5000/docker.io"},
                    {"location": "172.30.0.1:5000", "insecure": True},
                    {"location": "other.example.com", "pull-from-mirror": "digest-only"},
                ],
            },
            {"prefix": "quay.io", "location": "quay.io"},
            {
                "prefix": "registry.example.com",
                "location": "registry.example.com",
                "insecure": True,
                "mirror": [{"location": "registry.example.com", "insecure": True}],
            },
        ]
    }
    auth = found["/etc/crio/slipway-auth.json"]
    assert auth["mode"] == "0600" and "content" not in auth
    encoded = base64.b64encode(b"u:hunter2").decode()
    assert json.loads(auth["secret_content"]) == {"auths": {"m.example.com:5000": {"auth": encoded}}}
    said = toml.loads(found[crio.DROP_IN]["content"])["crio"]["image"]
    assert said == {"pause_image": PAUSE, "global_auth_file": crio.AUTH, "pause_image_auth_file": crio.AUTH}
    authorities = [path for path in found if path.endswith(".crt")]
    assert authorities == [
        f"/etc/containers/certs.d/{host}/slipway-1.crt" for host in ("m.example.com:5000", "other.example.com")
    ]
    assert found[authorities[0]]["content"] == crio.MANAGED + PEM + "\n"
    assert "hunter2" not in str([file.get("content") for file in found.values()])


@pytest.mark.parametrize(
    ("upstream", "mirror", "expected"),
    [
        ("_default", MIRROR, "_default means any registry, which CRI-O has no word for"),
        ("docker.io", {"url": "https://m/docker.io"}, "has a path that does not begin with /v2"),
        ("docker.io", {"url": "https://m", "override_path": True}, "has a path that does not begin with /v2"),
        ("docker.io", {"url": "https://m/x", "override_path": False}, "has a path before /v2"),
        ("docker.io", {"url": "https://m", "ca": "/etc/ssl/none/there.crt"}, "is no file on the controller"),
        ("docker.io", {"url": "ftp://m"}, "is no http(s) URL"),
    ],
)
def test_mirrors_that_it_cannot_have(upstream: str, mirror: t.Dict[str, t.Any], expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        crio.crio_files({upstream: [mirror]})


def test_settings_in_toml_that_are_texts() -> None:
    text = "root = 'a'\n[crio]\n# b = \"c\"\nd = 1\n[ \"crio\".'x' ]\n  y='z' # more\n"
    text += '[[registry]]\nprefix = "docker.io"\n'
    assert list(crio.settings_of(text)) == [("root", "a"), ("crio.x.y", "z"), ("registry.prefix", "docker.io")]


class Packages(PackageManager):
    """A machine on which these files are as their packages brought them."""

    pristine: t.Tuple[str, ...] = ()

    def owner(self, path: str) -> t.Optional[str]:
        return "cri-o"

    def is_pristine(self, path: str) -> bool:
        return path in self.pristine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of a machine."""
    (tmp_path / "crio.conf.d").mkdir()
    (tmp_path / "registries.conf.d").mkdir()
    monkeypatch.setattr(crio, "CONFIG", f"{tmp_path}/crio.conf")
    monkeypatch.setattr(crio, "DROP_INS", f"{tmp_path}/crio.conf.d")
    monkeypatch.setattr(crio, "REGISTRIES", f"{tmp_path}/registries.conf")
    return tmp_path


def test_what_is_known_of_one(machine: Path) -> None:
    crun = machine / "crun"
    crun.write_text("")
    (machine / "crio.conf").write_text('[crio.runtime]\ncgroup_manager = "systemd"\ndefault_runtime = "other"\n')
    (machine / "crio.conf.d/10-crio.conf").write_text(PACKAGED.replace("/usr/libexec/crio/crun", str(crun)))
    (machine / "crio.conf.d/99-old").write_text("[crio.runtime]\ncgroup_manager = 'cgroupfs'\n")
    (machine / "registries.conf.d/50-site.conf").write_text('[[registry]]\nlocation = "quay.io"\n')
    (machine / "registries.conf.d/crio.conf").write_text('[[registry]]\nprefix = "docker.io"\n')
    (machine / "registries.conf.d/90-slipway.conf").write_text(f'# {MARK}\n[[registry]]\nprefix = "docker.io"\n')
    (machine / "registries.conf").write_text('unqualified-search-registries = ["docker.io"]\n')
    packages = Packages(FakeRunner({}))
    packages.pristine = (f"{machine}/registries.conf.d/crio.conf",)
    runner = FakeRunner({"crun --version": CRUN, "runc --version": RUNC}, tools=("sh",))
    assert crio.CRIO.state(runner, packages, "/usr/bin/crio") == {
        "registries": {f"{machine}/registries.conf.d/50-site.conf": ["quay.io"]},
        "cgroup_manager": ["cgroupfs", f"{machine}/crio.conf.d/99-old"],
        "default_runtime": "crun",
        "oci_runtimes": {"crun": {"path": str(crun), "version": "1.8.1"}},
    }


def test_what_is_known_where_it_is_not_installed(machine: Path) -> None:
    assert crio.CRIO.state(FakeRunner({}), Packages(FakeRunner({})), "") == {
        "registries": {},
        "cgroup_manager": ["", ""],
        "default_runtime": "crun",
        "oci_runtimes": {},
    }


@pytest.mark.parametrize(("said", "version"), [(CRUN, "1.8.1"), (RUNC, "1.1.5"), ("usage: crun", "")])
def test_versions_of_programs(said: str, version: str) -> None:
    assert crio._version(FakeRunner({"--version": said}), "/usr/bin/x") == version


def test_pods_are_removed_by_crictl() -> None:
    runner = FakeRunner({"pods --quiet": "a\nb\n", "rmp": ""}, tools=("crictl",))
    for name in crio.CRIO.containers(runner, SOCKET):
        crio.CRIO.remove(runner, "/var/run/crio/crio.sock", name)
    start = ["/usr/bin/crictl", "--runtime-endpoint=unix:///var/run/crio/crio.sock", "--timeout=60s"]
    assert runner.calls == [[*start, "pods", "--quiet"], *([*start, "rmp", "--force", name] for name in "ab")]
    assert crio.CRIO.containers(FakeRunner({}, tools=()), SOCKET) == []


@pytest.mark.parametrize(
    ("words", "socket", "ours"),
    [
        (
            "/usr/bin/conmon -b x -c id --exit-dir /var/run/crio/exits -l log -n k8s_etcd_a_b_0 -r /usr/bin/runc",
            "",
            True,
        ),
        ("/usr/libexec/crio/conmon --exit-dir /run/crio/exits -n k8s_a", SOCKET, True),
        ("/usr/bin/conmon --exit-dir /run/crio/exits -n k8s_a", "unix:///run/other/other.sock", False),
        ("/usr/bin/conmon --exit-dir /run/libpod/exits -n web", "", False),
        ("/usr/bin/conmon --exit-dir /run/crio/exits -n web", "", False),
        ("/usr/bin/runc --exit-dir /run/crio/exits -n k8s_a", "", False),
        ("/usr/bin/conmon", "", False),
    ],
)
def test_monitors_of_pods(words: str, socket: str, ours: bool) -> None:
    assert crio.CRIO.holds_pod(words.split(), socket) is ours


def test_namespaces_of_pods_are_mounts_of_it() -> None:
    uuid = "0b8c0e43-5b0c-4f5b-8f2e-2d5d2b1f9a10"
    for path in (f"/run/netns/{uuid}", f"/var/run/ipcns/{uuid}"):
        assert re.fullmatch(crio.CRIO.mounts, path)
    for path in (f"/run/netns/netns-{uuid}", f"/run/netns/cni-{uuid}", "/run/netns/foreign", "/run/netns"):
        assert not re.fullmatch(crio.CRIO.mounts, path)


def test_overlays() -> None:
    assert crio.CRIO.has_overlays(Settings({}))
    assert not crio.CRIO.has_overlays(Settings({"container_runtime_config": {"crio": {"storage_driver": "vfs"}}}))
