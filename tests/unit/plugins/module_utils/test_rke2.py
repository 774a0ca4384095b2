# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RKE2's releases, tokens, configuration, log and supervisor.

Log lines and properties of units are as RKE2's sources have them and as systemd 252 printed them of upstream's units
with a program that does nothing. None was recorded from RKE2 itself.
"""

from __future__ import annotations

import http.server
import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._rke2 import (
    config,
    releases,
    service,
    supervisor,
    tokens,
)
from ansible_collections.slipway.kubernetes.tests.unit.plugins.tls_fakes import certificate, serving

PASSWORD = "4f5c2d8e9a1b7c3d6e0f"
HASH = "8a" * 32


def line(message: str, level: str = "info") -> str:
    return f'time="2026-12-01T18:20:00Z" level={level} msg="{message}"'


def test_names_of_a_release() -> None:
    assert releases.release("v1.36.3+rke2r1").names() == {
        "version": "v1.36.3+rke2r1",
        "kubernetes": "v1.36.3",
        "folder": "v1.36.3%2Brke2r1",
        "tag": "v1.36.3-rke2r1",
        "tarball": "rke2.linux-amd64.tar.gz",
        "images": "rke2-images.linux-amd64.tar.gz",
        "sums": "sha256sum-amd64.txt",
    }
    assert releases.release("v1.36.3+rke2r1").names("arm64")["sums"] == "sha256sum-arm64.txt"
    with pytest.raises(SlipwayError, match="no release for s390x"):
        releases.release("v1.36.3+rke2r1").names("s390x")


@pytest.mark.parametrize(
    "text", ["stable", "v1.36", "1.36.3+rke2r1", "v1.36.3", "v1.36.3-rke2r1", "v1.36.3+rke2r1 ", ""]
)
def test_what_is_no_release(text: str) -> None:
    with pytest.raises(SlipwayError, match="is no release of RKE2"):
        releases.release(text)


def test_release_that_a_program_says() -> None:
    printed = "rke2 version v1.36.3+rke2r1 (0a1b2c3)\ngo version go1.26.1\n"
    assert str(releases.said_by(printed)) == "v1.36.3+rke2r1"
    assert releases.said_by("go version go1.26.1\n") is None


@pytest.mark.parametrize(
    ("now", "wished", "said"),
    [
        ("v1.36.3+rke2r1", "v1.36.3+rke2r1", ""),
        ("v1.36.3+rke2r1", "v1.36.3+rke2r2", ""),
        ("v1.36.9+rke2r1", "v1.36.10+rke2r1", ""),
        ("v1.36.3+rke2r1", "v1.37.0+rke2r1", ""),
        ("v1.35.3+rke2r1", "v1.37.0+rke2r1", r"Upgrade to v1\.36 first"),
        ("v1.36.3+rke2r2", "v1.36.3+rke2r1", "is older"),
        ("v1.37.0+rke2r1", "v1.36.9+rke2r1", "is older"),
    ],
)
def test_ways_from_release_to_release(now: str, wished: str, said: str) -> None:
    found = releases.forbidden(releases.release(now), releases.release(wished))
    assert re.search(said, found) if said else not found


def test_parts_of_a_token() -> None:
    assert tokens.parse(PASSWORD, "node") == tokens.Token("", "node", PASSWORD)
    assert tokens.parse(f"K10{HASH}::server:{PASSWORD}:x", "node") == tokens.Token(HASH, "server", f"{PASSWORD}:x")
    with pytest.raises(SlipwayError, match="no whole one") as error:
        tokens.parse(f"K10{HASH}:{PASSWORD}", "node")
    assert PASSWORD not in error.value.msg


@pytest.mark.parametrize(
    ("text", "user", "is_first", "said"),
    [
        (PASSWORD, "server", True, ""),
        (f"K10{HASH}::server:{PASSWORD}", "server", False, ""),
        (f"K10{HASH}::server:{PASSWORD}", "server", True, "the hash of a CA"),
        (f"K10{HASH[1:]}::server:{PASSWORD}", "server", False, "no whole token"),
        ("abcdef.0123456789abcdef", "server", True, "bootstrap token"),
        (f"K10{HASH}::server:abcdef.0123456789abcdef", "server", False, "bootstrap token"),
        ("abcdef.0123456789abcdef", "node", False, ""),
        ("secret", "server", True, "less than 16"),
        ("", "server", True, "is empty"),
        (f"{PASSWORD}\n", "node", False, "spaces"),
    ],
)
def test_tokens_that_people_choose(text: str, user: str, is_first: bool, said: str) -> None:
    what, remedy = tokens.problem(text, user, is_first)
    assert (said in what) if said else not what
    assert bool(what) == bool(remedy)
    assert not text.strip() or text not in what + remedy or text == "abcdef.0123456789abcdef"


def test_configuration_of_both_kinds() -> None:
    computed = {"token": "x", "tls-san": ["vip"], "cni": "canal", "node-name": "cp1", "server": "", "node-label": []}
    over = {"kubelet-arg": ["max-pods=200"], "tls-san": ["a", "vip"], "cni": "none", "debug": True, "node-taint": None}
    assert config.complete(computed, over, is_server=True) == {
        "cni": "none",
        "debug": True,
        "kubelet-arg": ["max-pods=200"],
        "node-name": "cp1",
        "tls-san": ["a", "vip"],
        "token": "x",
    }
    agent = config.complete(computed, over, is_server=False)
    assert agent == {"debug": True, "kubelet-arg": ["max-pods=200"], "node-name": "cp1", "token": "x"}


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"tls-sans": ["a"]}, "no option tls-sans, and would only warn of it. Perhaps tls-san is meant."),
        ({"qqq": 1}, "See https://docs.rke2.io"),
        ({"token": PASSWORD}, "rke2_token"),
        ({"cluster-reset": True}, "each start would reset etcd"),
        ({"data-dir": "/srv"}, "data-dir has no place in it"),
        ({"tls-san+": ["a"]}, "Say all of tls-san."),
        ({"kubelet-arg": {"max-pods": 200}}, "key=value"),
        ({"kubelet-arg": [{"max-pods": 200}]}, "key=value"),
        ({"kubelet-arg": [None]}, "key=value"),
    ],
)
def test_options_that_are_refused(over: t.Dict[str, t.Any], said: str) -> None:
    with pytest.raises(SlipwayError) as error:
        config.complete({}, over, is_server=True)
    assert said in error.value.msg and error.value.msg.startswith("rke2_config: ")
    assert PASSWORD not in error.value.msg


def test_options_that_differ_between_servers() -> None:
    same = {"cluster-cidr": "10.42.0.0/16", "tls-san": ["a"]}
    assert config.differing({"cp1": same, "cp2": {**same, "tls-san": ["b"]}}) == {}
    other = {**same, "cluster-cidr": "10.0.0.0/8", "agent-token": "secret"}
    assert config.differing({"cp1": same, "cp2": other}) == {
        "agent-token": {"cp1": "***", "cp2": "***"},
        "cluster-cidr": {"cp1": "10.42.0.0/16", "cp2": "10.0.0.0/8"},
    }


AGENT = "Waiting to retrieve agent configuration; server is not ready: "
CONNECTION = "Failed to validate connection to cluster at https://cp1:9345: "


@pytest.mark.parametrize(
    ("message", "said", "is_final"),
    [
        (AGENT + "https://127.0.0.1:6444/v1-rke2/config: 401 Unauthorized", "refuses the token", True),
        (AGENT + "https://127.0.0.1:6444/v1-rke2/config: 503 Service Unavailable", "has not started yet", False),
        (AGENT + "https://127.0.0.1:6444/v1-rke2/config: 500 Internal Server Error", "has not started yet", False),
        (AGENT + "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match",
         "another password", True),
        (CONNECTION + f"token CA hash does not match the Cluster CA certificate hash: {HASH} != {HASH[::-1]}",
         "of another cluster", True),
        (CONNECTION + "failed to get CA certs: Get https://cp1:9345/cacerts: refused", "no supervisor", False),
        (CONNECTION + "failed to get CA certs: https://cp1:6443/cacerts: 401 Unauthorized", "to an API server", True),
        ("failed to validate server configuration: https://cp1:9345/v1-rke2/config: 401 Unauthorized", "refuses", True),
        ("failed to validate server configuration: critical configuration value mismatch between servers",
         "the same on all servers", True),
        ("failed to normalize server token; must be in format K10", "cannot use the token", True),
        ("bootstrap data already found and encrypted with different token", "data of a cluster with another", True),
        ("--token is required", "no token", True),
        ("starting kubernetes: preparing server: RKE2_TOKEN is required to join a cluster", "no token", True),
        ("Waiting for other members to finish joining etcd cluster: etcdserver: too many learner members in cluster",
         "another server is joining", False),
        ("Waiting for other members to finish joining etcd cluster: unhealthy cluster", "no new member", False),
    ],
)  # fmt: skip
def test_meanings_of_the_log(message: str, said: str, is_final: bool) -> None:
    found = service.meaning_of([line("Starting rke2"), line(message, "fatal"), line("Running kubelet")])
    assert found and said in found.what and found.is_final is is_final
    assert found.remedy.endswith(".") and not found.what.endswith(".")


def test_a_log_without_a_meaning() -> None:
    assert service.meaning_of([line("Waiting for API server to become available")]) is None
    assert service.meaning_of([]) is None


def test_last_lines_say_which_option_differs() -> None:
    warning = line("critical configuration mismatched: cluster-cidr", "warning")
    lines = [line("first"), warning, *(line(str(number)) for number in range(20))]
    assert service.last_lines(lines) == [warning, *lines[-10:]]
    assert service.last_lines(lines[:3]) == lines[:3]


def test_states_of_a_unit() -> None:
    looping = service.state_of(
        {"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "3", "Result": "exit-code"}
    )
    assert str(looping) == "activating (auto-restart, started again 3 times)"
    assert not looping.is_active and not looping.is_refused
    assert service.state_of({"ActiveState": "inactive", "Result": "exec-condition"}).is_refused
    ready = service.state_of({"ActiveState": "active", "SubState": "running", "NRestarts": "0", "InvocationID": "a"})
    assert ready.is_active and str(ready) == "active (running)" and ready.invocation == "a"
    assert service.other("server") == "rke2-agent.service"


@pytest.mark.parametrize(
    "url",
    ["cp1", "cp1:9345", "http://cp1:9345", "https://cp1", "https://cp1:x", "https://a:b@cp1:9345", "https://c:1/x"],
)
def test_what_is_no_address_of_a_supervisor(url: str) -> None:
    with pytest.raises(SlipwayError, match="https://HOST:9345"):
        supervisor.place(url)


def test_address_of_a_supervisor() -> None:
    assert supervisor.place("https://[fd00::1]:9345/") == ("fd00::1", 9345)


@pytest.fixture(scope="module", name="pair")
def fixture_pair(tmp_path_factory: pytest.TempPathFactory) -> t.Tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("pki"))


class Server:
    """A supervisor, with what it answers."""

    def __init__(self, authority: str) -> None:
        self.answers: t.Dict[str, t.Tuple[int, str]] = {"/cacerts": (200, authority), "/v1-rke2/readyz": (200, "ok")}
        self.logins: t.List[t.Optional[str]] = []
        self.url = ""

    def look(self, token: tokens.Token) -> supervisor.Answer:
        return supervisor.Supervisor(self.url, 5).look(token)


@pytest.fixture
def server(pair: t.Tuple[Path, Path]) -> t.Iterator[Server]:
    made = Server(pair[0].read_text())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = made.answers.get(self.path, (404, ""))
            made.logins.append(self.headers.get("Authorization"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: t.Any) -> None:
            """Say nothing."""

    with serving(Handler, *pair) as port:
        made.url = f"https://127.0.0.1:{port}"
        yield made


def test_a_supervisor_that_is_ready(server: Server) -> None:
    answer = server.look(tokens.Token("", "node", "word"))
    assert (answer.state, answer.ca_hash) == ("ready", tokens.hash_of(server.answers["/cacerts"][1]))
    # The CA is asked for without a login: nobody knows yet who answers.
    assert server.logins == [None, "Basic bm9kZTp3b3Jk"]
    assert server.look(tokens.Token(answer.ca_hash, "server", "word")).state == "ready"


@pytest.mark.parametrize(("status", "state"), [(503, "starting"), (500, "starting")])
def test_a_supervisor_that_starts(server: Server, status: int, state: str) -> None:
    server.answers["/v1-rke2/readyz"] = (status, "runtime core not ready")
    assert server.look(tokens.Token("", "node", "word")).state == state


@pytest.mark.parametrize(
    ("path", "answer", "ca_hash", "said"),
    [
        ("/v1-rke2/readyz", (401, ""), "", "refuses the token"),
        ("/cacerts", (401, ""), "", "API server"),
        ("/cacerts", (403, ""), "", "API server"),
        ("/nothing", (200, ""), HASH, "of another cluster"),
    ],
)
def test_what_waiting_cannot_help(
    server: Server, path: str, answer: t.Tuple[int, str], ca_hash: str, said: str
) -> None:
    server.answers[path] = answer
    with pytest.raises(SlipwayError, match=said) as error:
        server.look(tokens.Token(ca_hash, "node", PASSWORD))
    assert PASSWORD not in error.value.msg


def test_a_login_goes_to_nobody_but_the_cluster(server: Server, tmp_path: Path) -> None:
    server.answers["/cacerts"] = (200, certificate(tmp_path)[0].read_text())
    with pytest.raises(SlipwayError, match="not of its cluster's CA"):
        server.look(tokens.Token("", "node", "word"))
    assert server.logins == [None]


def test_nobody_answers(server: Server) -> None:
    server.answers["/cacerts"] = (200, "<html>")
    assert server.look(tokens.Token("", "node", "word")).state == "absent"
    server.url = "https://127.0.0.1:1"
    answer = server.look(tokens.Token("", "node", "word"))
    assert answer.state == "absent" and "does not answer" in answer.message
