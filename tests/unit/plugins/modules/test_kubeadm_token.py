# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules kubeadm_token and kubeadm_token_info over an API server with Secrets."""

from __future__ import annotations

import json
import re
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    CommandError,
    CommandResult,
    SlipwayError,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import bootstrap_tokens as bootstrap
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_token, kubeadm_token_info
from ansible_collections.slipway.kubernetes.tests.unit.plugins.module_utils.test_bootstrap_tokens import stored
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

FIXTURES = Path(__file__).parent.parent / "fixtures" / "kubeadm"
TOKEN = "abcdef.0123456789abcdef"
OTHER = "uvwxyz.0123456789abcdef"


class Cluster:
    """kubectl and kubeadm in front of the Secrets of bootstrap tokens."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.kubeconfig = root / "admin.conf"
        self.kubeconfig.touch()
        self.secrets: t.Dict[str, t.Dict[str, t.Any]] = {}
        self.certificates = False
        self._run_module = run_module
        self.runner = FakeRunner(
            {
                "get secrets": lambda _argv: json.dumps({"items": list(self.secrets.values())}),
                " delete ": self._delete,
                "version --output=short": "v1.37.1\n",
                "config current-context": "kubernetes-admin@kubernetes\n",
                "token create": self._token_create,
                "upload-certs": self._upload,
            },
            tools=("kubeadm", "kubectl"),
        )
        self.printed = (FIXTURES / "token-create.txt").read_text("utf-8")
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(kubeadm, "new_token", lambda: TOKEN)

    def has(self, token: str = OTHER, description: str = "", expires: str = "2999-01-01T00:00:00Z") -> Cluster:
        self.secrets[kubeadm.token_id(token)] = stored(token, expires, description, ["signing"])
        return self

    def has_left(self, token: str) -> Cluster:
        """A run that was killed has left a token."""
        expires, description = bootstrap.timestamp(time.time() + 600), kubeadm_token.WORKER_DESCRIPTION
        self.secrets[kubeadm.token_id(token)] = stored(token, expires, description, ["signing"], [bootstrap.GROUP])
        return self

    def _delete(self, argv: t.List[str]) -> str:
        for word in argv:
            if word.startswith("secret/bootstrap-token-"):
                self.secrets.pop(word[23:], None)
            if word == "secret/kubeadm-certs":
                self.certificates = False
        return ""

    def _upload(self, _argv: t.List[str]) -> str:
        self.certificates = True
        self.has("ownert.0123456789abcdef", kubeadm_token._OWNER_DESCRIPTION)
        return ""

    def _token_create(self, _argv: t.List[str]) -> str:
        (entry,) = self.configuration()[0]["bootstrapTokens"]
        expires = bootstrap.timestamp(time.time() + int(entry["ttl"].rstrip("s")))
        token = entry["token"]
        self.secrets[kubeadm.token_id(token)] = stored(
            token, expires, entry["description"], entry["usages"], entry["groups"]
        )
        return self.printed.replace(TOKEN, token)

    def configuration(self) -> t.List[t.Dict[str, t.Any]]:
        """The documents that kubeadm got last."""
        return [json.loads(part) for part in (self.runner.stdins[-1] or "").split("---\n")]

    def run(self, module: t.Any = kubeadm_token, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        given = {"ca_file": str(FIXTURES / "ca.crt")} if module is kubeadm_token else {}
        options = {"kubeconfig": str(self.kubeconfig), **given, **options}
        result = self._run_module(module.main, options, check=check)
        # Whatever is done, no secret is in an argument list.
        assert TOKEN[7:] not in json.dumps(self.runner.calls)
        return result

    def absent(self, **options: t.Any) -> bool:
        """Whether something is revoked."""
        return bool(self.run(state="absent", **options)["changed"])

    def writes(self) -> t.List[t.List[str]]:
        return [call for call in self.runner.calls if not {"get", "version", "config"} & set(call)]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Cluster:
    return Cluster(tmp_path, monkeypatch, run_module)


# tokens of runs


def test_token_of_a_run(cluster: Cluster) -> None:
    result = cluster.run()
    assert (result["changed"], result["endpoint"]) == (True, "172.30.0.11:6443")
    assert (result["token"], result["token_id"]) == (TOKEN, "abcdef")
    assert result["ca_cert_hashes"] == [(FIXTURES / "ca-hash-by-openssl.txt").read_text("utf-8").strip()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result["expires"])
    assert "certificate_key" not in result
    (call,) = cluster.writes()
    options = [f"--kubeconfig={cluster.kubeconfig}", "--config=/dev/stdin"]
    assert call[1:] == ["token", "create", "--print-join-command", *options]
    init, configuration = cluster.configuration()
    assert init["bootstrapTokens"] == [
        {
            "token": TOKEN,
            "ttl": "900s",
            "description": kubeadm_token.WORKER_DESCRIPTION,
            "usages": ["signing", "authentication"],
            "groups": [bootstrap.GROUP],
        }
    ]
    assert (init["kind"], configuration["kind"]) == ("InitConfiguration", "ClusterConfiguration")
    assert init["apiVersion"] == configuration["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    assert configuration["kubernetesVersion"] == "v1.37.1"


def test_tokens_that_killed_runs_have_left_are_revoked(cluster: Cluster) -> None:
    cluster.has_left("left01.0123456789abcdef").has(OTHER, "somebody else's").has("nodesc.0123456789abcdef")
    assert cluster.run()["changed"]
    assert sorted(cluster.secrets) == ["abcdef", "nodesc", "uvwxyz"]


def test_tokens_of_runs_are_revoked(cluster: Cluster) -> None:
    cluster.has_left(TOKEN).has_left("left01.0123456789abcdef").has(OTHER, "somebody else's")
    assert cluster.absent(token_id="abcdef")
    assert sorted(cluster.secrets) == ["left01", "uvwxyz"]
    assert cluster.absent(check=True)
    assert sorted(cluster.secrets) == ["left01", "uvwxyz"]
    assert cluster.absent()
    assert sorted(cluster.secrets) == ["uvwxyz"]
    assert not cluster.absent()


@pytest.mark.parametrize("control_plane", [False, True])
def test_every_token_of_a_run_is_revoked_by_the_next(cluster: Cluster, control_plane: bool) -> None:
    assert cluster.run(control_plane=control_plane, ttl="24h")["changed"]
    assert cluster.absent()
    assert cluster.secrets == {}


def test_a_token_that_somebody_made_like_ours_stays(cluster: Cluster) -> None:
    """For an autoscaler, perhaps: only what runs make, for as long as they take, is theirs."""
    ours = {
        "description": kubeadm_token.WORKER_DESCRIPTION,
        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
        "expires": "2026-11-29T00:15:00Z",
    }
    now = bootstrap.parse_time("2026-11-29T00:00:00Z")
    assert now is not None and kubeadm_token.is_ours(ours, now)
    for change in (
        {"description": "slipway.kubernetes: for the autoscaler"},
        {"description": kubeadm_token.WORKER_DESCRIPTION + ", and for the autoscaler"},
        {"groups": ["system:bootstrappers:autoscaler"]},
        {"expires": ""},
        {"expires": "2027-11-29T00:00:00Z"},
    ):
        assert not kubeadm_token.is_ours({**ours, **change}, now)
    cluster.has(OTHER, "slipway.kubernetes: for the autoscaler")
    assert not cluster.absent()
    assert sorted(cluster.secrets) == ["uvwxyz"]


@pytest.mark.parametrize("address", ["192.0.2.1", "fd00::1"])
def test_kubeadm_asks_the_api_server_of_this_machine(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Not at the default route of IPv4, which may lead through another network than the cluster's."""
    monkeypatch.setattr(api_server, "own_place", lambda: (address, 6444))
    cluster.run(control_plane=True)
    given = [text for text in cluster.runner.stdins if text and "InitConfiguration" in text]
    assert len(given) == 2
    for text in given:
        init = json.loads(text.partition("---\n")[0])
        assert init["localAPIEndpoint"] == {"advertiseAddress": address, "bindPort": 6444}


def test_certificates_are_uploaded_and_deleted(cluster: Cluster) -> None:
    result = cluster.has(OTHER, "somebody else's").run(control_plane=True)
    key = result["certificate_key"]
    assert re.fullmatch("[0-9a-f]{64}", key) and key not in json.dumps(cluster.runner.calls)
    assert cluster.writes()[-1][1:] == [
        "init",
        "phase",
        "upload-certs",
        "--upload-certs",
        "--skip-certificate-key-print",
        f"--kubeconfig={cluster.kubeconfig}",
        "--config=/dev/stdin",
    ]
    init, configuration = cluster.configuration()
    assert (init["certificateKey"], configuration["kubernetesVersion"]) == (key, "v1.37.1")
    assert cluster.certificates and sorted(cluster.secrets) == ["abcdef", "ownert", "uvwxyz"]
    assert cluster.absent()
    assert not cluster.certificates and sorted(cluster.secrets) == ["uvwxyz"]
    certificates, tokens = cluster.writes()[-2:]
    assert "secret/kubeadm-certs" in certificates and "secret/bootstrap-token-abcdef" in tokens


def test_certificates_of_somebody_else_stay(cluster: Cluster) -> None:
    cluster.certificates = True
    cluster.has(OTHER, kubeadm_token._OWNER_DESCRIPTION).run()
    assert cluster.absent()
    assert cluster.certificates and sorted(cluster.secrets) == ["uvwxyz"]


# tokens with a description, or that were given


def test_token_with_a_description_is_made_once(cluster: Cluster) -> None:
    before = time.time()
    result = cluster.has_left("left01.0123456789abcdef").run(description="example", ttl="1h", usages=["authentication"])
    after = time.time()
    assert (result["changed"], result["token_id"], result["token"]) == (True, "abcdef", TOKEN)
    assert result["endpoint"] and result["ca_cert_hashes"]
    assert sorted(cluster.secrets) == ["abcdef", "left01"]
    described = bootstrap.describe(cluster.secrets["abcdef"])
    assert (described["description"], described["usages"]) == ("example", ["authentication"])
    assert before - 1 <= (bootstrap.parse_time(described["expires"]) or 0) - 3600 <= after + 1
    again = cluster.run(description="example")
    assert (again["changed"], again["token_id"], again["expires"]) == (False, "abcdef", described["expires"])
    assert "token" not in again and len(cluster.writes()) == 1


def test_given_token(cluster: Cluster) -> None:
    result = cluster.has_left("left01.0123456789abcdef").run(token=OTHER, groups=["system:bootstrappers:a"], ttl="48h")
    assert (result["changed"], result["token_id"]) == (True, "uvwxyz")
    described = bootstrap.describe(cluster.secrets["uvwxyz"])
    assert (described["description"], described["groups"]) == ("", ["system:bootstrappers:a"])
    assert sorted(cluster.secrets) == ["left01", "uvwxyz"]
    assert not cluster.run(token=OTHER)["changed"]
    # Ansible would have put something else in its place.
    assert "token" not in result and "0123456789abcdef" not in json.dumps(result)


def test_a_token_of_the_same_id_with_another_secret_is_another_one(cluster: Cluster) -> None:
    cluster.has(TOKEN)
    for check in (False, True):
        result = cluster.run(token="abcdef.ffffffffffffffff", check=check)
        assert result["failed"] and "a token with the id abcdef and another secret" in result["msg"]
        assert "0123456789abcdef" not in result["msg"]
    assert not cluster.absent(token="abcdef.ffffffffffffffff") and not cluster.writes()
    assert cluster.run(token=TOKEN)["changed"] is False and cluster.absent(token=TOKEN)


def test_expired_token_is_made_again(cluster: Cluster) -> None:
    cluster.has(OTHER, "example", "2001-01-01T00:00:00Z")
    assert cluster.run(description="example")["changed"]


@pytest.mark.parametrize("options", [{"token_id": "uvwxyz"}, {"description": "example"}, {"token": OTHER}])
def test_token_is_revoked(cluster: Cluster, options: t.Dict[str, str]) -> None:
    cluster.has(OTHER, "example").has("stayss.0123456789abcdef", "other").has_left("left01.0123456789abcdef")
    assert cluster.absent(check=True, **options)
    assert cluster.writes() == [] and len(cluster.secrets) == 3
    assert cluster.absent(**options)
    assert sorted(cluster.secrets) == ["left01", "stayss"]
    assert not cluster.absent(**options)
    assert len(cluster.writes()) == 1


# check mode and failures


def test_check_mode(cluster: Cluster) -> None:
    cluster.has(description="other").has_left("left01.0123456789abcdef")
    for options in ({}, {"control_plane": True}, {"description": "example"}, {"token": TOKEN}):
        result = cluster.run(check=True, **options)
        assert result["changed"] and not {"token", "token_id"} & set(result)
    assert not cluster.run(check=True, description="other")["changed"]
    assert cluster.writes() == []


def test_check_mode_on_a_bare_machine(cluster: Cluster) -> None:
    cluster.kubeconfig.unlink()
    cluster.runner.tools = ()
    assert cluster.run(check=True)["changed"] and cluster.run(check=True, description="example")["changed"]
    assert not cluster.absent(check=True) and not cluster.absent(check=True, token_id="abcdef")
    assert "is no duration" in cluster.run(check=True, ttl="soon")["msg"]
    assert cluster.runner.calls == []
    assert cluster.run()["msg"].startswith("kubectl is not installed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "abc.def"}, "token: it has 6, a dot, and 16"),
        ({"token": "abc.def", "state": "absent"}, "token: it has 6, a dot, and 16"),
        ({"token_id": "", "state": "absent"}, "token, token_id: one that is empty names no token"),
        ({"token": ""}, "token, token_id: one that is empty names no token"),
        ({"ttl": "0"}, "never expires"),
        ({"token_id": "uvwxyz"}, "token_id: it says which token is revoked"),
        ({"description": "example", "usages": ["signing"]}, "usages: kubeadm makes no token"),
        ({"description": "example", "groups": []}, "groups: name at least one"),
        ({"description": "example", "groups": ["system:masters"]}, "groups: name at least one"),
        ({"description": "example", "control_plane": True}, "control_plane: certificates are deleted"),
        ({"token": OTHER, "control_plane": True}, "control_plane: certificates are deleted"),
        ({"ttl": "25h"}, "description: a token without one is revoked by the next run"),
        ({"groups": ["system:bootstrappers:a"]}, "description: a token without one is revoked by the next run"),
        ({"context": "other"}, "current one, which is kubernetes-admin@kubernetes"),
    ],
)
def test_bad_input(cluster: Cluster, options: t.Dict[str, t.Any], message: str) -> None:
    cluster.has()
    for check in (True, False):
        failed = cluster.run(check=check, **options)
        assert failed["failed"] and message in failed["msg"]
    assert cluster.writes() == [] and list(cluster.secrets) == ["uvwxyz"]


def test_current_context(cluster: Cluster) -> None:
    context = "kubernetes-admin@kubernetes"
    assert cluster.run(context=context)["changed"]
    assert all(f"--context={context}" in call for call in cluster.runner.calls if "kubectl" in call[0])


@pytest.mark.parametrize("options", [{}, {"description": "example"}, {"token": OTHER}])
def test_another_ca_is_refused_and_the_token_revoked(cluster: Cluster, options: t.Dict[str, str]) -> None:
    cluster.has("stayss.0123456789abcdef")
    failed = cluster.run(ca_file=str(FIXTURES / "ca-version-1.crt"), **options)
    assert failed["failed"] and "Machines would join another cluster" in failed["msg"]
    assert (FIXTURES / "ca-version-1-hash-by-openssl.txt").read_text("utf-8").strip() in failed["msg"]
    assert list(cluster.secrets) == ["stayss"]


def test_a_join_command_that_cannot_be_read_leaves_no_token(cluster: Cluster) -> None:
    cluster.printed = "something else\n"
    assert "printed no join command" in cluster.run()["msg"]
    assert cluster.secrets == {}


def test_a_failing_upload_leaves_no_token(cluster: Cluster) -> None:
    cluster.runner.answers["upload-certs"] = CommandError("no", CommandResult(["kubeadm"], 1, "", "no"))
    assert cluster.run(control_plane=True)["failed"]
    assert cluster.secrets == {}


def test_failing_kubeadm(cluster: Cluster) -> None:
    said = f"cannot make {TOKEN}"
    cluster.runner.answers["token create"] = CommandError(said, CommandResult(["kubeadm"], 1, "", said))
    failed = cluster.run()
    assert (failed["msg"], failed["rc"]) == ("cannot make abcdef.(secret)", 1)


def test_a_kubeadm_that_fails_after_it_has_made_the_token_leaves_none(cluster: Cluster) -> None:
    """It needs a CA in the kubeconfig for the command that it prints."""

    def halfway(argv: t.List[str]) -> t.Any:
        cluster._token_create(argv)
        return CommandError("no CA", CommandResult(argv, 1, "", "no CA"))

    cluster.runner.answers["token create"] = halfway
    assert cluster.run(description="example")["msg"] == "no CA"
    assert cluster.secrets == {}


def test_another_token_is_refused() -> None:
    printed = {"ca_cert_hashes": ["sha256:1"], "token": OTHER, "endpoint": "a:1"}
    with pytest.raises(SlipwayError, match="another token") as caught:
        kubeadm_token.compared(printed, TOKEN, ["sha256:1"], "/k")
    assert "0123456789abcdef" not in caught.value.msg
    assert kubeadm_token.compared(printed, OTHER, ["sha256:1"], "/k") == "a:1"


def test_while_the_ca_is_replaced_there_are_two() -> None:
    def joined(*printed: str) -> str:
        words = {"ca_cert_hashes": list(printed), "token": TOKEN, "endpoint": "a:1"}
        return kubeadm_token.compared(words, TOKEN, ["new", "old"], "/k")

    assert joined("old", "new") == joined("new") == "a:1"
    for printed in ([], ["old"], ["new", "another"]):
        with pytest.raises(SlipwayError, match="another CA"):
            joined(*printed)


# kubeadm_token_info


def test_tokens_are_listed_without_their_secret(cluster: Cluster) -> None:
    result = cluster.has(description="example").run(kubeadm_token_info)
    assert (result["changed"], [token["description"] for token in result["tokens"]]) == (False, ["example"])
    assert "0123456789abcdef" not in json.dumps(result)
    cluster.kubeconfig.unlink()
    assert cluster.run(kubeadm_token_info, check=True)["tokens"] == []
    cluster.runner.tools = ()
    assert cluster.run(kubeadm_token_info)["msg"].startswith("kubectl is not installed")
