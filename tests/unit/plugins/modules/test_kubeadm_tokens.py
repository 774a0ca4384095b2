# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules kubeadm_token, kubeadm_token_info and kubeadm_join_info over an API server with Secrets."""

from __future__ import annotations

import calendar
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
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import bootstrap_tokens as bootstrap
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm
from ansible_collections.slipway.kubernetes.plugins.modules import (
    kubeadm_join_info,
    kubeadm_token,
    kubeadm_token_info,
)
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
                "get secrets": lambda _argv: json.dumps({"items": [stored(item) for item in self.secrets.values()]}),
                " delete ": self._delete,
                " create --filename=-": lambda _argv: self.put(json.loads(self.runner.stdins[-1] or "")),
                "version --output=short": "v1.37.1\n",
                "token create": self._token_create,
                "upload-certs": self._upload,
            },
            tools=("kubeadm", "kubectl"),
        )
        self.printed = (FIXTURES / "token-create.txt").read_text("utf-8")
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(kubeadm, "new_token", lambda: TOKEN)
        monkeypatch.setattr(kubeadm_token, "new_token", lambda: TOKEN)

    def put(self, secret: t.Dict[str, t.Any]) -> str:
        self.secrets[secret["stringData"]["token-id"]] = secret
        return ""

    def has(self, token: str = OTHER, description: str = "", expires: str = "2999-01-01T00:00:00Z") -> Cluster:
        self.put(bootstrap.secret_object(token, expires, description, ["signing"], []))
        return self

    def has_left(self, token: str) -> Cluster:
        """A run that was killed has left a token."""
        expires = bootstrap.timestamp(time.time() + 600)
        description = kubeadm_join_info.WORKER_DESCRIPTION
        self.put(bootstrap.secret_object(token, expires, description, ["signing"], [bootstrap.GROUP]))
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
        self.has("ownert.0123456789abcdef", kubeadm_join_info._OWNER_DESCRIPTION)
        return ""

    def _token_create(self, _argv: t.List[str]) -> str:
        entry = json.loads((self.runner.stdins[-1] or "").split("---\n")[0])["bootstrapTokens"][0]
        expires = bootstrap.timestamp(time.time() + int(entry["ttl"].rstrip("s")))
        self.put(
            bootstrap.secret_object(entry["token"], expires, entry["description"], entry["usages"], entry["groups"])
        )
        return self.printed

    def run(self, module: t.Any, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        result = self._run_module(module.main, {"kubeconfig": str(self.kubeconfig), **options}, check=check)
        # Whatever is done, no secret is in an argument list.
        assert TOKEN[7:] not in json.dumps(self.runner.calls)
        return result

    def writes(self) -> t.List[t.List[str]]:
        return [call for call in self.runner.calls if not {"get", "version"} & set(call)]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Cluster:
    return Cluster(tmp_path, monkeypatch, run_module)


# kubeadm_token


def test_token_is_made_once(cluster: Cluster) -> None:
    before = time.time()
    result = cluster.run(kubeadm_token, description="example", ttl="1h")
    after = time.time()
    assert (result["changed"], result["token_id"], result["token"]) == (True, "abcdef", TOKEN)
    assert [(token["token_id"], token["description"]) for token in result["tokens"]] == [("abcdef", "example")]
    data = cluster.secrets["abcdef"]["stringData"]
    assert data["token-secret"] == "0123456789abcdef"
    expires = calendar.timegm(time.strptime(data["expiration"], "%Y-%m-%dT%H:%M:%SZ"))
    assert before - 1 <= expires - 3600 <= after + 1
    again = cluster.run(kubeadm_token, description="example")
    assert (again["changed"], again["token_id"], "token" in again) == (False, "abcdef", False)
    assert len(cluster.writes()) == 1


def test_given_token(cluster: Cluster) -> None:
    result = cluster.run(kubeadm_token, token=OTHER)
    assert (result["changed"], result["token_id"]) == (True, "uvwxyz")
    assert not cluster.run(kubeadm_token, token=OTHER)["changed"]
    assert "0123456789abcdef" not in json.dumps(result)


def test_token_without_description_is_always_made(cluster: Cluster) -> None:
    assert cluster.has().run(kubeadm_token)["changed"]
    assert sorted(cluster.secrets) == ["abcdef", "uvwxyz"]


def test_expired_token_is_made_again(cluster: Cluster) -> None:
    cluster.has(TOKEN, "example", "2001-01-01T00:00:00Z")
    assert cluster.run(kubeadm_token, description="example")["changed"]


def test_token_in_check_mode(cluster: Cluster) -> None:
    result = cluster.has(description="other").run(kubeadm_token, check=True, description="example")
    assert (result["changed"], [token["token_id"] for token in result["tokens"]]) == (True, ["uvwxyz"])
    result = cluster.run(kubeadm_token, check=True, state="absent", description="other")
    assert (result["changed"], result["tokens"]) == (True, [])
    assert not cluster.run(kubeadm_token, check=True, description="other")["changed"]
    assert cluster.writes() == []


def test_token_in_check_mode_on_a_bare_machine(cluster: Cluster) -> None:
    cluster.kubeconfig.unlink()
    cluster.runner.tools = ()
    assert cluster.run(kubeadm_token, check=True)["changed"]
    assert not cluster.run(kubeadm_token, check=True, state="absent", token_id="abcdef")["changed"]
    assert cluster.run(kubeadm_token)["msg"].startswith("kubectl is not installed")


@pytest.mark.parametrize("options", [{"token_id": "uvwxyz"}, {"description": "example"}, {"token": OTHER}])
def test_token_is_revoked(cluster: Cluster, options: t.Dict[str, str]) -> None:
    cluster.has(OTHER, "example").has("stayss.0123456789abcdef", "other")
    result = cluster.run(kubeadm_token, state="absent", **options)
    assert (result["changed"], [token["token_id"] for token in result["tokens"]]) == (True, ["stayss"])
    assert list(cluster.secrets) == ["stayss"]
    assert not cluster.run(kubeadm_token, state="absent", **options)["changed"]
    assert len(cluster.writes()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "abc.def"}, "token: it has 6, a dot, and 16"),
        ({"ttl": "0"}, "never expires"),
        ({"state": "absent"}, "token_id: say which token"),
    ],
)
def test_bad_input_of_token(cluster: Cluster, options: t.Dict[str, str], message: str) -> None:
    failed = cluster.has().run(kubeadm_token, **options)
    assert failed["failed"] and message in failed["msg"]
    assert cluster.writes() == [] and list(cluster.secrets) == ["uvwxyz"]


# kubeadm_token_info


def test_tokens_are_listed_without_their_secret(cluster: Cluster) -> None:
    result = cluster.has(description="example").run(kubeadm_token_info)
    assert (result["changed"], [token["description"] for token in result["tokens"]]) == (False, ["example"])
    assert "0123456789abcdef" not in json.dumps(result)
    cluster.kubeconfig.unlink()
    assert cluster.run(kubeadm_token_info, check=True)["tokens"] == []
    cluster.runner.tools = ()
    assert cluster.run(kubeadm_token_info)["msg"].startswith("kubectl is not installed")


# kubeadm_join_info


def test_join_info(cluster: Cluster) -> None:
    result = cluster.run(kubeadm_join_info, ca_file=str(FIXTURES / "ca.crt"))
    assert (result["changed"], result["endpoint"]) == (True, "172.30.0.11:6443")
    assert (result["token"], result["token_id"]) == (TOKEN, "abcdef")
    assert result["ca_cert_hashes"] == [(FIXTURES / "ca-hash-by-openssl.txt").read_text("utf-8").strip()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result["expires"])
    call = cluster.writes()[0]
    assert call[1:] == [
        "token",
        "create",
        "--print-join-command",
        f"--kubeconfig={cluster.kubeconfig}",
        "--config=/dev/stdin",
    ]
    init, configuration = (json.loads(part) for part in (cluster.runner.stdins[-1] or "").split("---\n"))
    assert (init["bootstrapTokens"][0]["ttl"], init["bootstrapTokens"][0]["token"]) == ("900s", TOKEN)
    assert configuration["kubernetesVersion"] == "v1.37.1"


def test_tokens_that_killed_runs_have_left_are_revoked(cluster: Cluster) -> None:
    cluster.has_left("left01.0123456789abcdef").has(OTHER, "somebody else's")
    cluster.run(kubeadm_join_info, ca_file=str(FIXTURES / "ca.crt"))
    assert sorted(cluster.secrets) == ["abcdef", "uvwxyz"]


def test_join_info_is_revoked(cluster: Cluster) -> None:
    cluster.has_left(TOKEN).has(OTHER, "somebody else's")
    cluster.has_left("left01.0123456789abcdef")
    assert cluster.run(kubeadm_join_info, state="absent", token_id="abcdef")["changed"]
    assert sorted(cluster.secrets) == ["left01", "uvwxyz"]
    assert cluster.run(kubeadm_join_info, check=True, state="absent")["changed"]
    assert cluster.run(kubeadm_join_info, state="absent")["changed"]
    assert sorted(cluster.secrets) == ["uvwxyz"]
    assert not cluster.run(kubeadm_join_info, state="absent")["changed"]


def test_another_ca_is_refused_and_the_token_revoked(cluster: Cluster) -> None:
    failed = cluster.run(kubeadm_join_info, ca_file=str(FIXTURES / "ca-version-1.crt"))
    assert failed["failed"] and "Machines would join another cluster" in failed["msg"]
    assert (FIXTURES / "ca-version-1-hash-by-openssl.txt").read_text("utf-8").strip() in failed["msg"]
    assert cluster.secrets == {}


def test_a_join_command_that_cannot_be_read_leaves_no_token(cluster: Cluster) -> None:
    cluster.printed = "something else\n"
    assert "printed no join command" in cluster.run(kubeadm_join_info, ca_file=str(FIXTURES / "ca.crt"))["msg"]
    assert cluster.secrets == {}


def test_another_token_is_refused() -> None:
    printed = {"ca_cert_hashes": ["sha256:1"], "token": OTHER, "endpoint": "a:1"}
    with pytest.raises(SlipwayError, match="another token") as caught:
        kubeadm_join_info.compared(printed, TOKEN, ["sha256:1"])
    assert "0123456789abcdef" not in caught.value.msg
    assert kubeadm_join_info.compared(printed, OTHER, ["sha256:1"]) == "a:1"


def test_while_the_ca_is_replaced_there_are_two() -> None:
    def joined(*printed: str) -> str:
        words = {"ca_cert_hashes": list(printed), "token": TOKEN, "endpoint": "a:1"}
        return kubeadm_join_info.compared(words, TOKEN, ["new", "old"])

    assert joined("old", "new") == joined("new") == "a:1"
    for printed in ([], ["old"], ["new", "another"]):
        with pytest.raises(SlipwayError, match="another CA"):
            joined(*printed)


def test_join_info_in_check_mode(cluster: Cluster) -> None:
    cluster.kubeconfig.unlink()
    cluster.runner.tools = ()
    assert cluster.run(kubeadm_join_info, check=True)["changed"]
    assert not cluster.run(kubeadm_join_info, check=True, state="absent", token_id="abcdef")["changed"]
    assert cluster.runner.calls == []
    assert "is no duration" in cluster.run(kubeadm_join_info, check=True, ttl="soon")["msg"]


def test_join_token_is_revoked(cluster: Cluster) -> None:
    cluster.has()
    assert cluster.run(kubeadm_join_info, check=True, state="absent", token_id="uvwxyz")["changed"]
    assert list(cluster.secrets) == ["uvwxyz"]
    assert cluster.run(kubeadm_join_info, state="absent", token_id="uvwxyz")["changed"]
    assert cluster.secrets == {}
    assert not cluster.run(kubeadm_join_info, state="absent", token_id="uvwxyz")["changed"]


def test_failing_kubeadm(cluster: Cluster) -> None:
    said = f"cannot make {TOKEN}"
    cluster.runner.answers["token create"] = CommandError(said, CommandResult(["kubeadm"], 1, "", said))
    failed = cluster.run(kubeadm_join_info, ca_file=str(FIXTURES / "ca.crt"))
    assert (failed["msg"], failed["rc"]) == ("cannot make abcdef.(secret)", 1)


# kubeadm_join_info for control planes

CA = str(FIXTURES / "ca.crt")


def test_certificates_are_uploaded_and_deleted(cluster: Cluster) -> None:
    cluster.has(OTHER, "somebody else's")
    result = cluster.run(kubeadm_join_info, ca_file=CA, control_plane=True)
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
    init, configuration = (json.loads(part) for part in (cluster.runner.stdins[-1] or "").split("---\n"))
    assert (init["certificateKey"], configuration["kubernetesVersion"]) == (key, "v1.37.1")
    assert cluster.certificates and sorted(cluster.secrets) == ["abcdef", "ownert", "uvwxyz"]
    assert cluster.run(kubeadm_join_info, state="absent")["changed"]
    assert not cluster.certificates and sorted(cluster.secrets) == ["uvwxyz"]
    assert "certificate_key" not in cluster.run(kubeadm_join_info, ca_file=CA)


def test_certificates_of_somebody_else_stay(cluster: Cluster) -> None:
    cluster.certificates = True
    cluster.has(OTHER, kubeadm_join_info._OWNER_DESCRIPTION).run(kubeadm_join_info, ca_file=CA)
    assert cluster.run(kubeadm_join_info, state="absent")["changed"]
    assert cluster.certificates and sorted(cluster.secrets) == ["uvwxyz"]


def test_a_failing_upload_leaves_no_token(cluster: Cluster) -> None:
    error = CommandError("no", CommandResult(["kubeadm"], 1, "", "no"))
    cluster.runner.answers["upload-certs"] = error
    assert cluster.run(kubeadm_join_info, ca_file=CA, control_plane=True)["failed"]
    assert cluster.secrets == {}


def test_a_token_that_somebody_made_like_ours_stays(cluster: Cluster) -> None:
    """For an autoscaler, perhaps: only what runs make, for as long as they take, is theirs."""
    ours = {
        "description": kubeadm_join_info.WORKER_DESCRIPTION,
        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
        "expires": "2026-11-29T00:15:00Z",
    }
    now = kubeadm_join_info.parse_time("2026-11-29T00:00:00Z")
    assert now is not None and kubeadm_join_info.is_ours(ours, now)
    for change in (
        {"description": "slipway.kubernetes: for the autoscaler"},
        {"description": kubeadm_join_info.WORKER_DESCRIPTION + ", and for the autoscaler"},
        {"groups": ["system:bootstrappers:autoscaler"]},
        {"expires": ""},
        {"expires": "2027-11-29T00:00:00Z"},
    ):
        assert not kubeadm_join_info.is_ours({**ours, **change}, now)
    cluster.has(OTHER, "slipway.kubernetes: for the autoscaler")
    cluster.run(kubeadm_join_info, state="absent")
    assert sorted(cluster.secrets) == ["uvwxyz"]
