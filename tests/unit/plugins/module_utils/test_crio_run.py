# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that runs programs of images of CRI-O. The kernel is one that keeps what it is asked for."""

from __future__ import annotations

import errno
import http.server
import json
import os
import socketserver
import threading
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import crio_run
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.crio import CRIO
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

ROOT = Path(__file__).resolve().parents[4]
IMAGE = "registry.k8s.io/etcd:3.7.0-0"
Calls = t.List[t.Tuple[t.Any, ...]]


class Crio(http.server.BaseHTTPRequestHandler):
    """What CRI-O says about itself at the socket for the kubelet."""

    answer: t.ClassVar[str] = ""

    def do_GET(self) -> None:
        text = (self.answer if self.path == "/info" else "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self) -> str:
        return ""

    def log_message(self, *_words: t.Any) -> None:
        """Say nothing."""


@pytest.fixture
def socket(tmp_path: Path) -> t.Iterator[str]:
    """The socket of a CRI-O with its images in ``storage``."""
    path = str(tmp_path / "crio.sock")
    said(storage_driver="overlay", storage_root=str(tmp_path / "storage"))
    with socketserver.ThreadingUnixStreamServer(path, Crio) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def said(**values: str) -> None:
    """Have CRI-O say this."""
    Crio.answer = json.dumps(values)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Two layers of etcd's image, as containers/storage has them."""
    root = tmp_path / "storage"
    for name, link in (("aa", "A"), ("bb", "B")):
        (root / "overlay" / name / "diff").mkdir(parents=True)
        (root / "overlay" / name / "link").write_text(link)
        (root / "overlay" / "l").mkdir(exist_ok=True)
        (root / "overlay" / "l" / link).symlink_to(f"../{name}/diff")
    (root / "overlay/aa/lower").write_text("l/B")
    (root / "overlay-images").mkdir()
    images = [{"id": "1"}, {"id": "2", "names": None}, {"id": "3", "names": [IMAGE], "layer": "aa"}]
    images.append({"id": "4", "names": ["registry.k8s.io/pause:3"], "layer": "bb"})
    (root / "overlay-images/images.json").write_text(json.dumps(images))
    return root


def test_where_images_are(socket: str, storage: Path) -> None:
    assert crio_run.storage(socket) == str(storage)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ('{"storage_driver": "vfs", "storage_root": "/s"}', "has the storage driver vfs, and programs of images"),
        ("[]", "does not say at"),
        ("", "does not say at"),
    ],
)
def test_what_says_nothing_of_use(socket: str, answer: str, message: str) -> None:
    Crio.answer = answer
    with pytest.raises(crio_run.RunError, match=message):
        crio_run.storage(socket)


def test_layers_the_upper_ones_first(storage: Path) -> None:
    assert crio_run.layers(str(storage), IMAGE) == ["l/A", "l/B"]
    assert crio_run.layers(str(storage), "registry.k8s.io/pause:3") == ["l/B"]
    with pytest.raises(crio_run.NoImage, match="does not have the image other:1"):
        crio_run.layers(str(storage), "other:1")
    (storage / "overlay/l/B").unlink()
    with pytest.raises(crio_run.RunError, match=r"The layer l/B of the image .* it lies in another storage"):
        crio_run.layers(str(storage), IMAGE)
    (storage / "overlay-images/images.json").write_text("{")
    with pytest.raises(crio_run.RunError, match="cannot be read"):
        crio_run.layers(str(storage), IMAGE)


def test_whether_an_image_is_there(socket: str, storage: Path) -> None:
    runner = FakeRunner({})
    assert CRIO.has_image(runner, f"unix://{socket}", IMAGE)
    assert not CRIO.has_image(runner, f"unix://{socket}", "other:1")
    with pytest.raises(SlipwayError, match="does not say at"):
        CRIO.has_image(runner, f"unix://{socket}x", IMAGE)


def test_the_root_is_the_image_with_the_folders_in_it(
    storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground, old, hosts = tmp_path / "sys", tmp_path / "old", tmp_path / "in/hosts"
    calls: Calls = []
    for folder in (ground, tmp_path / "real"):
        folder.mkdir()
    (tmp_path / "linked").symlink_to("real")
    hosts.parent.mkdir()
    hosts.write_text("127.0.0.1 localhost")
    monkeypatch.setattr(crio_run, "_GROUND", str(ground))
    monkeypatch.setattr(crio_run, "_OLD", str(old))
    monkeypatch.setattr(crio_run, "_NAMES", (str(hosts), str(tmp_path / "none")))
    monkeypatch.chdir(tmp_path)

    def kernel(*words: t.Any) -> None:
        calls.append(words)
        if words[0] == "pivot_root":
            old.mkdir()

    folders = {str(tmp_path / "linked"): False, str(tmp_path / "work"): True}
    crio_run.enter(kernel, str(storage / "overlay"), ["l/A", "l/B"], folders)
    assert calls == [
        ("unshare", 0x2C020000),
        ("mount", "none", "/", None, 16384 | 1 << 18, None),
        ("mount", "tmpfs", str(ground), "tmpfs", 0, "mode=0700,size=16m"),
        (
            *("mount", "overlay", f"{ground}/root", "overlay", 0),
            f"lowerdir=l/A:l/B,upperdir={ground}/upper,workdir={ground}/work",
        ),
        ("pivot_root", ".", f".{old}"),
        ("mount", f"{old}{tmp_path}/real", f"{tmp_path}/linked", None, 4096 | 16384, None),
        ("mount", None, f"{tmp_path}/linked", None, 1 | 32 | 4096, None),
        ("mount", f"{old}{tmp_path}/work", f"{tmp_path}/work", None, 4096 | 16384, None),
        ("umount2", str(old), 2),
    ]
    assert not old.exists() and hosts.read_text() == "127.0.0.1 localhost"


def limited(last: int, calls: Calls) -> t.Callable[..., None]:
    """A kernel that knows rights up to ``last``."""

    def kernel(*words: t.Any) -> None:
        calls.append(words[:3])
        if words[1] == 24 and words[2] > last:
            raise OSError(errno.EINVAL, "no such right")

    return kernel


def test_it_keeps_few_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Calls = []
    started: Calls = []
    monkeypatch.setattr(os, "execvpe", lambda *words: started.append(words))
    crio_run.become(limited(40, calls), ["etcdctl", "version"])
    assert calls[:2] == [("prctl", 1, 9), ("prctl", 38, 1)]
    assert [right for _name, _what, right in calls[2:]] == [2, *range(4, 42)]
    assert [words[:2] for words in started] == [("etcdctl", ["etcdctl", "version"])]
    with pytest.raises(OSError, match="no such right"):
        crio_run.become(limited(3, []), ["etcdctl"])


def test_how_it_ends_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert crio_run.run(limited(40, []), ["sh", "-c", "echo out; exit 3"]) == 3
    assert crio_run.run(limited(40, []), ["sh", "-c", "kill -9 $$"]) == 137
    assert crio_run.run(limited(40, []), ["/does/not/exist"]) == 127
    said_there = capfd.readouterr()
    assert said_there.out == "out\n"
    assert said_there.err == "/does/not/exist cannot be run: No such file or directory.\n"


def test_the_command_line(
    socket: str, storage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entered: Calls = []
    monkeypatch.setattr(crio_run, "enter", lambda _kernel, *words: entered.append(words))
    monkeypatch.setattr(crio_run, "run", lambda _kernel, words: len(words))
    argv = ["crio-run.py", f"--socket={socket}", "--folder=ro:/a:b", "--folder=rw:/c"]
    assert crio_run.main([*argv, IMAGE, "etcdctl", "--endpoints=x", "get"]) == 3
    assert entered == [(f"{storage}/overlay", ["l/A", "l/B"], {"/a:b": False, "/c": True})]
    assert crio_run.main([*argv, "other:1", "etcdctl"]) == 125

    def refuses(*_words: t.Any) -> None:
        raise OSError(errno.EPERM, "unshare: Operation not permitted")

    monkeypatch.setattr(crio_run, "enter", refuses)
    assert crio_run.main([*argv, IMAGE, "etcdctl"]) == 125
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "CRI-O does not have the image other:1."
    assert lines[1] == f"{IMAGE} cannot be run: [Errno 1] unshare: Operation not permitted."


def test_what_the_kernel_refuses_is_said() -> None:
    with pytest.raises(OSError, match=r"umount2: .*'/no/such/folder'"):
        crio_run.Kernel()("umount2", "/no/such/folder", 0)


def test_machines_have_it_where_it_is_looked_for() -> None:
    own = yaml.safe_load((ROOT / "roles/container_runtime/vars/main.yml").read_text(encoding="utf-8"))
    assert [file["path"] for file in own["__container_runtime_crio_run"]] == [crio_run.PLACE]
    argv = CRIO.tool_at("unix:///run/crio/crio.sock")
    assert argv[:3] == ["python3", crio_run.PLACE, "--socket=/run/crio/crio.sock"]
