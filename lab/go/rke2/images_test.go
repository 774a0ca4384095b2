// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func tarball(t *testing.T, files ...string) []byte {
	t.Helper()
	content := &bytes.Buffer{}
	writer := tar.NewWriter(content)
	for at := 0; at < len(files); at += 2 {
		header := &tar.Header{Name: files[at], Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(files[at+1]))}
		if err := writer.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		_, _ = writer.Write([]byte(files[at+1]))
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func packed(content []byte) string {
	found := &bytes.Buffer{}
	writer := gzip.NewWriter(found)
	_, _ = writer.Write(content)
	_ = writer.Close()
	return found.String()
}

const runtimeImage = "docker.io/rancher/rke2-runtime:v1.2.3-rke2r1"

func archive(t *testing.T, image string) string {
	t.Helper()
	layer := string(tarball(t, "bin/kubelet", "the kubelet", "etc/other", "not this"))
	manifest := fmt.Sprintf(`[{"Config": "c.json", "RepoTags": [%q], "Layers": ["l.tar"]}]`, image)
	return packed(tarball(t, "manifest.json", manifest, "other.tar", "no layer of this image", "l.tar", layer))
}

func TestRuntimeOfAnArchive(t *testing.T) {
	places(t)
	put(t, data("agent/images/rke2-images.linux-amd64.tar.gz"), archive(t, runtimeImage))
	put(t, data("agent/images/rke2-images.txt"), runtimeImage)
	for range 2 {
		if err := ensureRuntime(runtimeImage); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(data("bin/kubelet"))
	if err != nil || string(text) != "the kubelet" {
		t.Errorf("got %q, %v", text, err)
	}
	target, _ := os.Readlink(data("bin"))
	if !strings.HasPrefix(target, data("data/v1.2.3-rke2r1-")) {
		t.Errorf("bin leads to %s", target)
	}
	if entries, _ := os.ReadDir(data("bin/")); len(entries) != 1 {
		t.Errorf("got %v", entries)
	}
}

func TestNoArchiveAndNoRegistry(t *testing.T) {
	places(t)
	put(t, data("agent/images/other.tar.gz"), archive(t, "docker.io/rancher/other:1"))
	put(t, filepath.Join(configDir, "registries.yaml"), "mirrors:\n  index.invalid:\n    endpoint: [\"http://127.0.0.1:1\"]\n")
	err := ensureRuntime("index.invalid/rancher/rke2-runtime:v1")
	if err == nil || !strings.Contains(err.Error(), "failed to get runtime image") {
		t.Errorf("got %v", err)
	}
	put(t, data("agent/images/other.tar.gz"), packed(tarball(t, "a", "b"))[:20])
	if err := ensureRuntime(runtimeImage); err == nil || !strings.Contains(err.Error(), "other.tar.gz") {
		t.Errorf("a broken archive: %v", err)
	}
}

func TestRuntimeOfAMirror(t *testing.T) {
	places(t)
	layer := tarball(t, "bin/kubelet", "of a registry")
	registry := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		switch request.URL.Path {
		case "/v2/docker.io/rancher/rke2-runtime/manifests/v1.2.3-rke2r1":
			fmt.Fprint(response, `{"layers": [{"digest": "sha256:x"}]}`)
		case "/v2/docker.io/rancher/rke2-runtime/blobs/sha256:x":
			_, _ = response.Write(layer)
		default:
			http.NotFound(response, request)
		}
	}))
	defer registry.Close()
	text := fmt.Sprintf("mirrors:\n  docker.io:\n    endpoint:\n    - %s\n    - %s/v2/docker.io\n", registry.URL, registry.URL)
	put(t, filepath.Join(configDir, "registries.yaml"), text)
	if err := ensureRuntime(runtimeImage); err != nil {
		t.Fatal(err)
	}
	if found, _ := os.ReadFile(data("bin/kubelet")); string(found) != "of a registry" {
		t.Errorf("got %q", found)
	}
	if err := writeContainerd("pause:1"); err != nil {
		t.Fatal(err)
	}
	hosts, _ := os.ReadFile(data("agent/etc/containerd/certs.d/docker.io/hosts.toml"))
	for _, wanted := range []string{"server = \"https://index.docker.io\"", registry.URL + "/v2\"]", registry.URL + "/v2/docker.io\"]"} {
		if !strings.Contains(string(hosts), wanted) {
			t.Errorf("%s lacks %s", hosts, wanted)
		}
	}
}
