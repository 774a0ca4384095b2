// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := writeFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// places moves all that a node writes into folders of this test.
func places(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	for place, name := range map[*string]string{&dataDir: "data", &configDir: "etc", &nodeDir: "node", &runDir: "run"} {
		old := *place
		*place = filepath.Join(root, name)
		t.Cleanup(func() { *place = old })
	}
}

func TestYAML(t *testing.T) {
	for text, wanted := range map[string]any{
		"":                                 map[string]any{},
		"a: b # c\nd: 'x # y'\n":           map[string]any{"a": "b", "d": "x # y"},
		"a:\n- b\n- 'it''s'\nc:\n  - d":    map[string]any{"a": []any{"b", "it's"}, "c": []any{"d"}},
		"---\na: [b, \"c, d\"]\ne: {f: g}": map[string]any{"a": []any{"b", "c, d"}, "e": map[string]any{"f": "g"}},
		"mirrors:\n  \"docker.io\":\n    endpoint:\n      - http://h:1/v2": map[string]any{"mirrors": map[string]any{
			"docker.io": map[string]any{"endpoint": []any{"http://h:1/v2"}}}},
		"a:\n- b: c\n  d: e\n- f": map[string]any{"a": []any{map[string]any{"b": "c", "d": "e"}, "f"}},
		"a:\nb: null":             map[string]any{"a": nil, "b": nil},
		"{\"a\": [\"b\"]}":        map[string]any{"a": []any{"b"}},
		"a: it's # no quote":      map[string]any{"a": "it's"},
	} {
		if found, err := parseYAML(text); err != nil || !reflect.DeepEqual(found, wanted) {
			t.Errorf("%q: got %v, %v", text, found, err)
		}
	}
	for _, text := range []string{"a", "a: |\n  b", "a: \"b", "a: b\n  c: d", "\ta: b", "{", "a: &x b"} {
		if found, err := parseYAML(text); err == nil {
			t.Errorf("%q is read as %v", text, found)
		}
	}
}

func TestConfigOfSeveralFiles(t *testing.T) {
	places(t)
	path := filepath.Join(configDir, "config.yaml")
	put(t, path, "token: old\ntls-san: [a]\nnode-label:\n- x=1\nmisspelled: 1\ncni: none\n")
	put(t, path+".d/20.yaml", "tls-san+: [b]\nnode-label: [y=2]\n")
	put(t, path+".d/10.yaml", "token: new\n")
	put(t, path+".d/30.yml", "token: not read\n")
	found, err := loadConfig("server", []string{"--cni=canal", "--node-name", "n", "--debug"})
	if err != nil {
		t.Fatal(err)
	}
	wanted := config{"token": {"new"}, "tls-san": {"a", "b"}, "node-label": {"y=2"}, "cni": {"canal"},
		"node-name": {"n"}, "debug": {"true"}}
	if !reflect.DeepEqual(found, wanted) {
		t.Errorf("got %v", found)
	}
	if found.one("cluster-cidr") != "10.42.0.0/16" || !found.flag("debug") {
		t.Error("no defaults")
	}
	agent, err := loadConfig("agent", nil)
	if err != nil || agent.one("token") != "new" || agent["tls-san"] != nil {
		t.Errorf("an agent knows fewer options: %v, %v", agent, err)
	}
	if _, err := loadConfig("agent", []string{"--misspelled"}); err == nil {
		t.Error("an unknown option of the command line is taken")
	}
	put(t, path, "token: [")
	if _, err := loadConfig("agent", nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestTokenFile(t *testing.T) {
	places(t)
	path := put(t, filepath.Join(configDir, "secret"), "word\n")
	put(t, filepath.Join(configDir, "config.yaml"), "token-file: "+path)
	if found, err := loadConfig("server", nil); err != nil || found.one("token") != "word" {
		t.Errorf("got %v, %v", found, err)
	}
	_ = os.Remove(path)
	if _, err := loadConfig("server", nil); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestTokens(t *testing.T) {
	hash := digestOf("ca")
	for text, wanted := range map[string]token{
		"word":                        {"", "server", "word"},
		"K10" + hash + "::server:a:b": {hash, "server", "a:b"},
		"K10" + hash + "::node:word":  {hash, "node", "word"},
	} {
		if found, err := parseToken(text, "server"); err != nil || found != wanted {
			t.Errorf("%s: got %v, %v", text, found, err)
		}
	}
	if _, err := parseToken("abcdef.0123456789abcdef", "server"); err == nil || !strings.Contains(err.Error(), "failed to normalize") {
		t.Errorf("got %v", err)
	}
	if _, err := parseToken("abcdef.0123456789abcdef", "node"); err != nil {
		t.Error(err)
	}
	if _, err := parseToken("K10abc", "server"); err == nil {
		t.Error("half a token is taken")
	}
	long := token{"", "server", "word"}.long([]byte("ca"))
	parsed, _ := parseToken(long, "server")
	if parsed.check([]byte("ca")) != nil {
		t.Error("its own hash is refused")
	}
	if err := parsed.check([]byte("other")); err == nil || !strings.Contains(err.Error(), "does not match the Cluster CA") {
		t.Errorf("got %v", err)
	}
}

func TestArguments(t *testing.T) {
	found := withArguments([]string{"--a=1", "--b=2"}, []string{"b=3", "--c=4"})
	if !slices.Equal(found, []string{"--a=1", "--b=3", "--c=4"}) {
		t.Errorf("got %v", found)
	}
}

func TestReleaseBehindTheProgram(t *testing.T) {
	path := put(t, filepath.Join(t.TempDir(), "rke2"), "program"+releaseMark+`{"version": "v1.2.3+rke2r1", "images": {"etcd": "e:1"}}`)
	if found, err := readRelease(path); err != nil || found.Version != "v1.2.3+rke2r1" || found.Images["etcd"] != "e:1" {
		t.Errorf("got %v, %v", found, err)
	}
	put(t, path, "program")
	if found, err := readRelease(path); err != nil || found.Version != "v0.0.0+rke2r0" {
		t.Errorf("got %v, %v", found, err)
	}
}
