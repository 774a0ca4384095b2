// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The programs that a node runs come out of the image rke2-runtime: of an archive in agent/images, or of a registry.

func archives() []string {
	found, _ := filepath.Glob(data("agent/images/*"))
	return slices.DeleteFunc(found, func(name string) bool {
		return !strings.HasSuffix(name, ".tar.gz") && !strings.HasSuffix(name, ".tar") && !strings.HasSuffix(name, ".tgz")
	})
}

func unzipped(source io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(source, 1<<20)
	if magic, _ := buffered.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		return gzip.NewReader(buffered)
	}
	return buffered, nil
}

var errEnough = errors.New("enough was read")

// eachEntry calls a function with each file of an archive that may be compressed, until it has had enough.
func eachEntry(source io.Reader, visit func(*tar.Header, io.Reader) error) error {
	plain, err := unzipped(source)
	if err != nil {
		return err
	}
	reader := tar.NewReader(plain)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := visit(header, reader); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
	}
}

func inArchive(name string, visit func(*tar.Header, io.Reader) error) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := eachEntry(file, visit); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

type manifestEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// layersOf names the layers of an image in an archive, as the archive's files.
func layersOf(name, image string) ([]string, error) {
	entries := []manifestEntry{}
	err := inArchive(name, func(header *tar.Header, content io.Reader) error {
		if header.Name != "manifest.json" {
			return nil
		}
		if err := json.NewDecoder(content).Decode(&entries); err != nil {
			return err
		}
		return errEnough
	})
	for _, entry := range entries {
		if slices.Contains(entry.RepoTags, image) {
			return entry.Layers, err
		}
	}
	return nil, err
}

// extract writes the regular files of an image's layer that lie in a folder.
func extract(layer io.Reader, folder, target string) error {
	return eachEntry(layer, func(header *tar.Header, content io.Reader) error {
		name, inside := strings.CutPrefix(path.Clean("/"+header.Name), folder+"/")
		if !inside || header.Typeflag != tar.TypeReg {
			return nil
		}
		place := filepath.Join(target, name)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			return err
		}
		file, err := os.OpenFile(place, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, os.FileMode(header.Mode)&0o777)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	})
}

// fromArchives extracts a folder of an image; it says whether the image was there.
func fromArchives(image, folder, target string) (bool, error) {
	for _, name := range archives() {
		layers, err := layersOf(name, image)
		if err != nil {
			return false, err
		}
		if len(layers) == 0 {
			continue
		}
		return true, inArchive(name, func(header *tar.Header, content io.Reader) error {
			at := slices.Index(layers, header.Name)
			if at < 0 {
				return nil
			}
			if err := extract(content, folder, target); err != nil {
				return err
			}
			if layers = slices.Delete(layers, at, at+1); len(layers) == 0 {
				return errEnough
			}
			return nil
		})
	}
	return false, nil
}

// endpoints has where a registry's images are asked for: its mirrors of registries.yaml, then the registry itself.
func endpoints(registry string) ([]string, error) {
	found := []string{}
	text, err := os.ReadFile(filepath.Join(configDir, "registries.yaml"))
	if err == nil {
		document, wrong := parseYAML(string(text))
		if wrong != nil {
			return nil, fmt.Errorf("registries.yaml: %w", wrong)
		}
		entries, _ := document.(map[string]any)
		mirrors, _ := entries["mirrors"].(map[string]any)
		mirror, _ := mirrors[registry].(map[string]any)
		list, _ := mirror["endpoint"].([]any)
		for _, endpoint := range list {
			found = append(found, asText(endpoint))
		}
	}
	if registry == "docker.io" {
		registry = "index.docker.io"
	}
	return append(found, "https://"+registry), nil
}

// base is the address of a registry's interface: one with a path is taken as it is.
func base(endpoint string) string {
	parsed, err := url.Parse(endpoint)
	if err == nil && strings.Trim(parsed.Path, "/") == "" {
		return strings.TrimSuffix(endpoint, "/") + "/v2"
	}
	return strings.TrimSuffix(endpoint, "/")
}

func splitImage(image string) (registry, repository, tag string) {
	name, tag, _ := strings.Cut(image, ":")
	registry, repository, _ = strings.Cut(name, "/")
	return registry, repository, tag
}

// pull extracts a folder of an image of a registry.
func pull(image, folder, target string) error {
	registry, repository, tag := splitImage(image)
	addresses, err := endpoints(registry)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		var layers struct {
			Layers []struct{ Digest string }
		}
		address = base(address) + "/" + repository
		if err = fetch(address+"/manifests/"+tag, func(body io.Reader) error {
			return json.NewDecoder(body).Decode(&layers)
		}); err != nil {
			continue
		}
		for _, layer := range layers.Layers {
			err = errors.Join(err, fetch(address+"/blobs/"+layer.Digest, func(body io.Reader) error {
				return extract(body, folder, target)
			}))
		}
		return err
	}
	return err
}

func fetch(address string, read func(io.Reader) error) error {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, */*")
	answer, err := (&http.Client{Timeout: 5 * time.Minute}).Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: unexpected status code %s", address, answer.Status)
	}
	return read(answer.Body)
}

// ensureRuntime lays the programs into data/TAG-HASH/bin, and the link bin to them.
func ensureRuntime(image string) error {
	_, _, tag := splitImage(image)
	folder := fmt.Sprintf("data/%s-%s", tag, digestOf(image)[:12])
	link := data("bin")
	if _, err := os.Stat(data(folder, "bin/kubelet")); err != nil {
		partial := data(folder + ".partial")
		if err := os.RemoveAll(partial); err != nil {
			return err
		}
		found, err := fromArchives(image, "/bin", filepath.Join(partial, "bin"))
		if err == nil && !found {
			say("info", "Pulling runtime image %s", image)
			err = pull(image, "/bin", filepath.Join(partial, "bin"))
		}
		if err != nil {
			return fmt.Errorf("failed to get runtime image %s: %w", image, err)
		}
		if err := errors.Join(os.RemoveAll(data(folder)), os.Rename(partial, data(folder))); err != nil {
			return err
		}
	}
	target := data(folder, "bin")
	if now, err := os.Readlink(link); err == nil && now == target {
		return nil
	}
	_ = os.Remove(link + ".new")
	return errors.Join(os.Symlink(target, link+".new"), os.Rename(link+".new", link))
}

func containerdSocket() string { return filepath.Join(runDir, "containerd/containerd.sock") }

// importArchive gives an archive to containerd as it was before it was compressed: ctr takes nothing else.
func importArchive(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	argv := []string{"--address", containerdSocket(), "--namespace", "k8s.io", "images", "import", "--local", "-"}
	command := exec.Command(data("bin/ctr"), argv...)
	if command.Stdin, err = unzipped(file); err != nil {
		return err
	}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// importImages gives all archives to containerd.
func importImages() error {
	for _, name := range archives() {
		start := time.Now()
		if err := importArchive(name); err != nil {
			return fmt.Errorf("failed to import %s: %w", name, err)
		}
		say("info", "Imported images from %s in %s", name, time.Since(start))
	}
	return nil
}

// writeContainerd writes containerd's configuration and where it finds mirrors.
func writeContainerd(pauseImage string) error {
	folder := data("agent/etc/containerd")
	certs := filepath.Join(folder, "certs.d")
	text := fmt.Sprintf(`# File generated by rke2. DO NOT EDIT. Use config.toml.tmpl instead.
version = 3
root = %q
state = %q

[grpc]
  address = %q

[plugins.'io.containerd.cri.v1.runtime']
  enable_selinux = false
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = true

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %q

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = %q
`, data("agent/containerd"), filepath.Join(runDir, "containerd"), containerdSocket(), pauseImage, certs)
	if err := errors.Join(writeFile(filepath.Join(folder, "config.toml"), text, 0o600), os.RemoveAll(certs)); err != nil {
		return err
	}
	crictl := fmt.Sprintf("runtime-endpoint: unix://%s\n", containerdSocket())
	if err := writeFile(data("agent/etc/crictl.yaml"), crictl, 0o644); err != nil {
		return err
	}
	for _, registry := range []string{"docker.io", "registry.k8s.io", "ghcr.io", "quay.io"} {
		addresses, err := endpoints(registry)
		if err != nil {
			return err
		}
		hosts := fmt.Sprintf("server = %q\n", addresses[len(addresses)-1])
		for _, address := range addresses[:len(addresses)-1] {
			hosts += fmt.Sprintf("\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n", base(address))
		}
		if err := writeFile(filepath.Join(certs, registry, "hosts.toml"), hosts, 0o600); err != nil {
			return err
		}
	}
	return nil
}
