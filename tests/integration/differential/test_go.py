# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and certificates: what we accept, Go reads the same."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import typing as t
from pathlib import Path

import mutations
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der, pkcs10, x509

FIXTURES = Path(__file__).parents[2] / "unit" / "plugins" / "fixtures"
REQUEST, CERTIFICATE = "CERTIFICATE REQUEST", "CERTIFICATE"
SAN = "2.5.29.17"


def recorded_requests() -> list[bytes]:
    """What kubelets and openssl wrote."""
    found = []
    for name in ("csr-kubelets.json", "csr-crafted.json"):
        items = json.loads((FIXTURES / "kube" / name).read_text(encoding="utf-8"))["items"]
        found += [base64.b64decode(item["spec"]["request"]) for item in items]
    return found


def recorded_certificates() -> list[bytes]:
    names = [
        "ca.crt",
        "ca-version-1.crt",
        "apiserver-more-names.crt",
        "control-plane/kubelet/kubelet-server-current.pem",
    ]
    names += ["control-plane/pki/apiserver.crt", "control-plane/pki/etcd/peer.crt"]
    return [(FIXTURES / "kubeadm" / name).read_bytes() for name in names]


def ask(reader: Path, kind: str, texts: t.Sequence[bytes]) -> list[dict[str, t.Any]]:
    """What Go reads in each of ``texts``."""
    lines = [json.dumps({"kind": kind, "data": base64.b64encode(text).decode()}) for text in texts]
    done = subprocess.run([reader], input="\n".join(lines), capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(texts)
    return answers


def our_request(text: bytes) -> dict[str, t.Any] | None:
    """What we read when we accept a request for what it is: names and nothing else."""
    try:
        found = pkcs10.parse(text.decode("ascii"))
    except (UnicodeDecodeError, der.DerError):
        return None
    if found.others:
        return None
    return {
        "subject": [list(pair) for pair in found.subject],
        "dns_names": found.dns_names,
        "addresses": found.addresses,
        "others": 0,
    }


def our_certificates(text: bytes) -> list[dict[str, t.Any]] | None:
    """What we read in a file of certificates; nothing when we refuse it."""
    try:
        decoded = text.decode("utf-8", "surrogateescape")
        found = [x509.parse(block) for block in der.pem_blocks(decoded, CERTIFICATE)]
        pins = x509.certificate_pins(decoded)
    except der.DerError:
        return None
    return [
        {
            "common_name": one.common_name,
            "issuer": one.issuer,
            "not_before": int(one.not_before),
            "not_after": int(one.not_after),
            "fingerprint": one.fingerprint,
            "pin": pin,
            "dns_names": one.names.dns_names,
            "addresses": one.names.addresses,
        }
        for one, pin in zip(found, pins)
    ]


def mutated(chance: random.Random, texts: list[bytes], label: str, count: int) -> list[bytes]:
    """``texts`` and mutations of them, of the text and of the DER in it."""
    contents = [block for text in texts for block in der.pem_blocks(text.decode(), label)]
    found = list(texts)
    while len(found) < count:
        if chance.random() < 0.4:
            found.append(mutations.of_text(chance, chance.choice(texts), texts, label))
        else:
            found.append(mutations.armour(mutations.of_der(chance, chance.choice(contents), contents), label))
    return found


def test_requests(reader: Path, chance: random.Random) -> None:
    texts = mutated(chance, recorded_requests(), REQUEST, mutations.MUTATIONS)
    accepted = read_by_go = 0
    for text, answer in zip(texts, ask(reader, "request", texts)):
        ours, theirs = our_request(text), answer["request"]
        read_by_go += theirs is not None
        if ours is None:
            continue
        accepted += 1
        assert theirs is not None, (answer["error"], text)
        assert set(theirs.pop("extensions")) <= {SAN} and theirs.pop("attributes") <= 1, text
        assert ours == theirs, text
    print(f"requests: {len(texts)}, accepted {accepted}, read by Go {read_by_go}")
    # Both sides of the line have been seen: what we accept, and what Go alone would read.
    assert accepted > len(texts) / 200 and read_by_go > accepted * 2


def test_certificates(reader: Path, chance: random.Random) -> None:
    texts = mutated(chance, recorded_certificates(), CERTIFICATE, mutations.MUTATIONS // 2)
    accepted = refused_by_go = 0
    for text, answer in zip(texts, ask(reader, "certificates", texts)):
        ours, theirs = our_certificates(text), answer["certificates"]
        if ours is None:
            continue
        accepted += 1
        if answer["error"]:
            # Go looks into extensions that nobody asks us for; Kubernetes refuses what it cannot read.
            refused_by_go += 1
            continue
        for one in theirs:
            del one["others"]
        assert ours == theirs, text
    print(f"certificates: {len(texts)}, accepted {accepted}, of these refused by Go {refused_by_go}")
    assert accepted > len(texts) / 20 and refused_by_go < accepted / 4


def test_a_request_that_go_reads_in_a_header_of_another_is_refused(reader: Path) -> None:
    innocent, other = recorded_requests()[:2]
    text = mutations.in_a_header(innocent, other)
    [answer] = ask(reader, "request", [text])
    [of_other] = ask(reader, "request", [other])
    assert answer["request"] == of_other["request"] != ask(reader, "request", [innocent])[0]["request"]
    assert our_request(text) is None and our_request(other) is not None
