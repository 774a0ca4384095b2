# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that say where a kubelet finds its container runtime, as kubeadm 1.34 to 1.37 write them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import runtime_endpoint
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet.runtime_endpoint import (
    CONFIG,
    FLAGS,
    INSTANCE,
)

CONTAINERD = "unix:///run/containerd/containerd.sock"
CRIO = "unix:///var/run/crio/crio.sock"
DOCKER = "unix:///var/run/cri-dockerd.sock"
GATE = "--feature-gates=ExtendWebSocketsToKubelet=false"


def flags(*words: str) -> str:
    return f'KUBELET_KUBEADM_ARGS="{" ".join(words)}"\n'


def by_file(socket: str, *words: str) -> t.Dict[str, str]:
    """As kubeadm 1.36 and newer write it."""
    return {
        FLAGS: flags("--node-ip=192.0.2.7", *words),
        CONFIG: f"cgroupDriver: systemd\ncontainerRuntimeEndpoint: {socket}\nkind: KubeletConfiguration\n",
        INSTANCE: f'containerRuntimeEndpoint: "{socket}"\n',
    }


def by_argument(socket: str, *words: str) -> t.Dict[str, str]:
    """As kubeadm has written it before."""
    told = flags(f"--container-runtime-endpoint={socket}", "--node-ip=192.0.2.7", *words)
    return {FLAGS: told, CONFIG: 'containerRuntimeEndpoint: ""\nkind: KubeletConfiguration\n'}


@pytest.mark.parametrize("made", [by_file, by_argument])
@pytest.mark.parametrize("version", ["v1.35.9", "v1.36.4"])
def test_there_and_back(made: t.Callable[..., t.Dict[str, str]], version: str) -> None:
    gate = [GATE] if version == "v1.36.4" else []
    texts = made(CONTAINERD)
    for socket, words in ((CRIO, []), (DOCKER, gate), (CONTAINERD, [])):
        changed = runtime_endpoint.moved(texts, socket, version)
        assert {**texts, **changed} == made(socket, *words)
        texts.update(changed)
        assert runtime_endpoint.socket_of(texts) == socket
        assert runtime_endpoint.moved(texts, socket, version) == {}
    assert texts == made(CONTAINERD)


def test_what_says_where_it_is_comes_last() -> None:
    changed = runtime_endpoint.moved(by_file(CONTAINERD), DOCKER, "v1.36.4")
    assert list(changed) == [FLAGS, CONFIG, INSTANCE]
    # A call that was killed had come as far as the first two.
    half = {**by_file(CONTAINERD), **dict(list(changed.items())[:2])}
    assert runtime_endpoint.socket_of(half) == CONTAINERD
    assert list(runtime_endpoint.moved(half, DOCKER, "v1.36.4")) == [INSTANCE]


@pytest.mark.parametrize("same", ["/run/containerd/containerd.sock", "unix:///var/run/containerd/containerd.sock"])
def test_the_same_socket_in_other_words(same: str) -> None:
    assert runtime_endpoint.moved(by_file(same), CONTAINERD, "v1.36.4") == {}
    assert runtime_endpoint.moved(by_argument(same), CONTAINERD, "v1.36.4") == {}


def test_gates_of_others_stay() -> None:
    theirs = "--feature-gates=Sings=true,ExtendWebSocketsToKubelet=false"
    texts = runtime_endpoint.moved(by_file(DOCKER, theirs), CRIO, "v1.36.4")
    assert texts[FLAGS] == flags("--node-ip=192.0.2.7", "--feature-gates=Sings=true")
    back = runtime_endpoint.moved({**by_file(DOCKER), **texts}, DOCKER, "v1.36.4")
    assert back[FLAGS] == flags("--node-ip=192.0.2.7", theirs)


def test_a_file_without_arguments_gets_them() -> None:
    texts = {**by_file(CONTAINERD), FLAGS: "# none\n"}
    assert runtime_endpoint.moved(texts, DOCKER, "v1.36.4")[FLAGS] == f"{flags(GATE)}# none\n"


def test_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_endpoint, "FILES", (str(tmp_path / "a"), str(tmp_path / "b")))
    (tmp_path / "b").write_text("x")
    assert runtime_endpoint.present() == {str(tmp_path / "b"): "x"}
    with pytest.raises(SlipwayError, match="says where the kubelet of this host finds its container runtime"):
        runtime_endpoint.socket_of({CONFIG: 'containerRuntimeEndpoint: ""\n'})
