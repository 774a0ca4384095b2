# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs built from Go modules.

A folder under lab/go is a component. Its go.mod pins everything and lists as `tool` what is to be built; the lab's own
programs have their source there instead. Nothing but the module proxy is asked, and go.sum checks what it sends.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import debian
from .util import LOGS, SOURCE, LabError, artifact, artifact_folder, lock, run, step, write

MODULES = SOURCE / "go"

# RKE2's releases of a Kubernetes are numbered; the lab has the first one of each.
RKE2_REVISION = "rke2r1"

# The first release that fetches the toolchain which a go.mod asks for.
OLDEST_GO = (1, 21)

_KUBERNETES_FLAGS = " ".join(
    f"-X {package}.gitVersion=v{{version}} -X {package}.gitMajor={{major}} -X {package}.gitMinor={{minor}}"
    f" -X {package}.gitCommit={'0' * 40} -X {package}.gitTreeState=archive -X {package}.buildDate=2026-01-01T00:00:00Z"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
)


@dataclass(frozen=True)
class Component:
    """How one folder under lab/go is built.

    module: the module whose version counts, as go.mod requires it.
    ldflags: for the linker, with {version} (without v), {major} and {minor} of that module.
    needs: what its C parts need of the machine, and the Debian packages that bring it; nothing means no C.
    rename: programs that are not called like their package's folder.
    release: the version without v, where the module's own is another.
    replaced: files of the module that are the lab's own here, below the component's folder, by their places.
    kind: what follows the name of what is built where a folder is built in more than one way.
    """

    name: str
    module: str = ""
    ldflags: str = ""
    tags: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)
    rename: tuple[tuple[str, str], ...] = ()
    release: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""

    @property
    def artifact(self) -> str:
        """The name of what is built."""
        return f"{self.name}{self.kind}"

    @property
    def folder(self) -> Path:
        """The component's go.mod and sources."""
        return MODULES / self.name

    @property
    def version(self) -> str:
        """The pinned version, "" for the lab's own programs."""
        return self.release or required_version((self.folder / "go.mod").read_text(encoding="utf-8"), self.module)

    def arguments(self) -> list[str]:
        """Return what `go build` is told, apart from where to put the results."""
        version = self.version
        major, minor, *_ = [*version.split("."), "", ""]
        flags = f"-s -w {self.ldflags.format(version=version, major=major, minor=minor)}".strip()
        if self.needs:
            # Static all the same: the machine that builds may have a newer C library than the images.
            flags += ' -linkmode external -extldflags "-static"'
        tags = ["-tags", self.tags] if self.tags else []
        return ["-mod=readonly", "-trimpath", "-buildvcs=false", *tags, "-ldflags", flags]


def required_version(go_mod: str, module: str) -> str:
    """Return the version without v that a go.mod requires of a module, "" when it does not.

    >>> required_version("require example.org/a/v3 v3.1.0 // indirect", "example.org/a/v3")
    '3.1.0'
    """
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} v(\S+)", go_mod, re.MULTILINE) if module else None
    return found[1] if found else ""


def kubernetes(version: str) -> Component:
    """Return the component of a Kubernetes release."""
    known = sorted(path.name.partition("-")[2] for path in MODULES.glob("kubernetes-*"))
    if version not in known:
        raise LabError(f"Kubernetes {version} is not pinned in {MODULES}; there are {', '.join(known)}")
    return Component(f"kubernetes-{version}", "k8s.io/kubernetes", _KUBERNETES_FLAGS)


def kubernetes_of_rke2(version: str) -> Component:
    """Return the component of a Kubernetes release whose programs say, as RKE2's do, which release of RKE2 has them."""
    flags = _KUBERNETES_FLAGS.replace("gitVersion=v{version}", f"gitVersion=v{{version}}+{RKE2_REVISION}")
    return replace(kubernetes(version), ldflags=flags, kind=f"-{RKE2_REVISION}")


def etcd(tag: str) -> Component:
    """Return the etcd for an image tag that kubeadm asks for: the same release, or another patch of the same minor."""
    minor = ".".join(tag.split(".")[:2])
    folders = sorted(MODULES.glob(f"etcd-{minor}.*"))
    if not folders:
        raise LabError(f"no etcd {minor} is pinned in {MODULES}, which the image etcd:{tag} needs")
    return Component(folders[-1].name, "go.etcd.io/etcd/server/v3", rename=(("server", "etcd"),))


_C = {"gcc": "gcc", "/usr/lib/*/libc.a": "libc6-dev"}

_SECCOMP = {**_C, "/usr/lib/*/libseccomp.a": "libseccomp-dev", "pkg-config": "pkg-config"}

# The C library's own resolver and user database are left out: they cannot be linked statically.
_STATIC = "osusergo,netgo"

_CALICO = "github.com/projectcalico/calico"
CALICO = Component(
    "calico",
    _CALICO,
    " ".join(
        f"-X {name}=v{{version}}"
        for name in (
            "main.VERSION",
            f"{_CALICO}/calicoctl/calicoctl/commands.VERSION",
            f"{_CALICO}/calicoctl/calicoctl/commands/common.VERSION",
            f"{_CALICO}/felix/buildinfo.GitVersion",
            f"{_CALICO}/node/buildinfo.GitVersion",
            f"{_CALICO}/node/pkg/lifecycle/startup.VERSION",
            f"{_CALICO}/typha/pkg/buildinfo.GitVersion",
        )
    ),
    # The proxy has the commit of this release, and not its tag.
    release="3.28.5",
)
_CILIUM = "github.com/cilium/cilium"
CILIUM = Component(
    "cilium",
    _CILIUM,
    f"-X '{_CILIUM}/pkg/version.ciliumVersion={{version}} {'0' * 12} 2026-01-01T00:00:00Z'",
    tags="osusergo,ipam_provider_operator",
    rename=(
        ("daemon", "cilium-agent"),
        ("mount", "cilium-mount"),
        ("operator", "cilium-operator-generic"),
        ("responder", "cilium-health-responder"),
        ("sysctlfix", "cilium-sysctlfix"),
    ),
    replaced={"pkg/datapath/linux/modules/modules_linux.go": "modules/modules_linux.go"},
)
CNI_PLUGINS = Component(
    "cni-plugins",
    "github.com/containernetworking/plugins",
    "-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=v{version}",
)
CONTAINERD = Component(
    "containerd",
    "github.com/containerd/containerd/v2",
    "-X github.com/containerd/containerd/v2/version.Package=containerd.io"
    " -X github.com/containerd/containerd/v2/version.Version=v{version}",
)
COREDNS = Component("coredns", "github.com/coredns/coredns")
CRI_DOCKERD = Component(
    "cri-dockerd", "github.com/Mirantis/cri-dockerd", "-X github.com/Mirantis/cri-dockerd/cmd/version.Version={version}"
)
CRI_TOOLS = Component("cri-tools", "sigs.k8s.io/cri-tools", "-X sigs.k8s.io/cri-tools/pkg/version.Version=v{version}")
CRIO = Component(
    "cri-o",
    "github.com/cri-o/cri-o",
    # Without what needs C libraries that cannot be linked statically.
    tags="containers_image_openpgp,containers_image_ostree_stub,exclude_graphdriver_btrfs,btrfs_noversion,seccomp,"
    + _STATIC,
    needs=_SECCOMP,
)
FLANNEL = Component(
    "flannel",
    "github.com/flannel-io/flannel",
    "-X github.com/flannel-io/flannel/pkg/version.Version=v{version}",
    tags=_STATIC,
    needs=_C,
)
FLANNEL_CNI_PLUGIN = Component("flannel-cni-plugin", "github.com/containernetworking/plugins")
HELM = Component("helm", "helm.sh/helm/v3", "-X helm.sh/helm/v3/internal/version.version=v{version}")
KUBE_NETWORK_POLICIES = Component(
    "kube-network-policies", "sigs.k8s.io/kube-network-policies", rename=(("standard", "netpol"),)
)
KUBE_ROUTER = Component(
    "kube-router",
    "github.com/cloudnativelabs/kube-router/v2",
    "-X github.com/cloudnativelabs/kube-router/v2/pkg/version.Version=v{version}",
)
METALLB = Component("metallb", "go.universe.tf/metallb")
METRICS_SERVER = Component(
    "metrics-server",
    "sigs.k8s.io/metrics-server",
    "-X sigs.k8s.io/metrics-server/pkg/version.gitVersion=v{version}",
)
PAUSE = Component("pause")
PROBE = Component("probe")
RKE2 = Component("rke2")
RUNC = Component(
    "runc",
    "github.com/opencontainers/runc",
    tags=f"seccomp,{_STATIC}",
    needs=_SECCOMP,
)
RUNC_NODE = Component("runc-node")


@functools.lru_cache(maxsize=None)
def go_version() -> str:
    """Return the version of Go that builds; without one that can fetch it, the distribution's does."""
    debian.install({"go": "golang-go"})
    # Outside of a module: an old Go does not understand the go.mod of a newer one.
    numbers = re.match(r"go(\d+)\.(\d+)", run(["go", "env", "GOVERSION"], cwd=Path("/")))
    if not numbers or (int(numbers[1]), int(numbers[2])) < OLDEST_GO:
        with step("fetch a newer Go"):
            _fetch_go()
    return run(["go", "env", "GOVERSION"], cwd=MODULES / "runc-node").strip()


def newest_go() -> str:
    """Return the newest release that a go.mod asks for."""
    texts = (path.read_text(encoding="utf-8") for path in MODULES.glob("*/go.mod"))
    return max(re.findall(r"^go (\S+)", "\n".join(texts), re.MULTILINE), key=lambda text: [*map(int, text.split("."))])


def _fetch_go() -> None:
    """Fetch Go as a newer one would: it is a module, which the checksum database knows. Put it on the PATH."""
    module = f"golang.org/toolchain@v0.0.1-go{newest_go()}.linux-amd64"
    answer = run(["go", "mod", "download", "-json", module], cwd=Path("/"), env={"GOFLAGS": ""})
    folder = Path(json.loads(answer)["Dir"])
    for program in [*folder.glob("bin/*"), *folder.glob("pkg/tool/*/*")]:
        program.chmod(0o755)
    os.environ["PATH"] = f"{folder}/bin{os.pathsep}{os.environ['PATH']}"


def module_folder(component: Component) -> Path:
    """Return where the module's own tree lies, with its charts and manifests."""
    go_version()
    argv = ["go", "mod", "download", "-json", component.module]
    return Path(json.loads(run(argv, cwd=component.folder, env={"GOFLAGS": "", "GOWORK": "off"}))["Dir"])


def _inputs(component: Component) -> list[str | Path]:
    return [go_version(), _cgo(component), *component.arguments(), component.folder]


def _cgo(component: Component) -> str:
    return "1" if component.needs else "0"


def is_built(component: Component) -> bool:
    """Tell whether building would do nothing."""
    return artifact_folder(component.artifact, _inputs(component)).exists()


def _tree(component: Component) -> Path:
    """Return a copy of the module's tree with the lab's own files in it."""

    def build(folder: Path) -> None:
        tree = module_folder(component)
        for path in tree.rglob("*"):
            place = path.relative_to(tree)
            # What the module itself was built of; those of the component's go.mod count.
            if path.is_file() and place.parts[0] != "vendor":
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / place)
        for name, own in component.replaced.items():
            shutil.copyfile(component.folder / own, folder / name)

    files = [component.folder / path for path in component.replaced.values()]
    inputs: list[str | Path] = [component.version, *component.replaced, *files]
    return artifact(f"{component.name}-tree", inputs, build, what=f"sources of {component.name} {component.version}")


@contextlib.contextmanager
def _go_mod(component: Component) -> Iterator[list[str]]:
    """What `go build` is told so that the lab's own files are in the module."""
    if not component.replaced:
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        text = (component.folder / "go.mod").read_text(encoding="utf-8")
        path = write(Path(folder, "go.mod"), f"{text}\nreplace {component.module} => {_tree(component)}\n")
        shutil.copyfile(component.folder / "go.sum", path.with_suffix(".sum"))
        yield [f"-modfile={path}"]


def build(component: Component) -> Path:
    """Return the folder with a component's programs, building them when needed."""
    environment = {"CGO_ENABLED": _cgo(component), "GOFLAGS": "", "GOWORK": "off", "GOOS": "linux", "GOARCH": "amd64"}

    def build_into(folder: Path) -> None:
        debian.install(component.needs)
        what = "tool" if component.module else "."
        with _go_mod(component) as options:
            argv = ["go", "build", *component.arguments(), *options, "-o", f"{folder}/", what]
            run(argv, log=LOGS / f"build-{component.artifact}.log", env=environment, cwd=component.folder)
        for old, new in component.rename:
            (folder / old).rename(folder / new)

    name = component.artifact if component.version in component.name else f"{component.name} {component.version}"
    with lock(f"build-{component.artifact}"):
        return artifact(component.artifact, _inputs(component), build_into, what=f"build {name}")
