// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDropCapabilities(t *testing.T) {
	process := map[string]any{"capabilities": map[string]any{
		"bounding":  []any{"CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_FROM_THE_FUTURE"},
		"effective": []any{"CAP_CHOWN"},
	}}
	if !dropCapabilities(process, 1) {
		t.Fatal("says that nothing has changed")
	}
	text, _ := json.Marshal(process)
	if want := `{"capabilities":{"bounding":["CAP_CHOWN"],"effective":["CAP_CHOWN"]}}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if dropCapabilities(process, 1) {
		t.Error("changes it twice")
	}
}

func TestHas(t *testing.T) {
	if !has(1<<24, "CAP_SYS_RESOURCE") || has(1<<24, "CAP_SYS_TIME") {
		t.Error("capabilities are not in the order of their numbers")
	}
}

func TestRaiseOOMScore(t *testing.T) {
	low := map[string]any{"oomScoreAdj": json.Number("-1001")}
	if !raiseOOMScore(low) || low["oomScoreAdj"].(int) < -1000 {
		t.Errorf("an impossible score stays: %v", low)
	}
	for _, process := range []map[string]any{{"oomScoreAdj": json.Number("1000")}, {}} {
		if raiseOOMScore(process) {
			t.Errorf("changes %v", process)
		}
	}
}

func TestOption(t *testing.T) {
	arguments := []string{"--root", "/r", "create", "--bundle=/b", "-p", "/p", "id"}
	for _, example := range []struct {
		names []string
		want  string
	}{{[]string{"--bundle", "-b"}, "/b"}, {[]string{"--process", "-p"}, "/p"}, {[]string{"--none"}, "."}} {
		if got := option(arguments, ".", example.names...); got != example.want {
			t.Errorf("%v: got %s, want %s", example.names, got, example.want)
		}
	}
}

func TestAdaptKeepsTheRest(t *testing.T) {
	bundle := t.TempDir()
	path := filepath.Join(bundle, "config.json")
	text := `{"process":{"capabilities":{"bounding":["CAP_FROM_THE_FUTURE"]},"args":["<a>"]},"big":12345678901234567890}`
	os.WriteFile(path, []byte(text), 0o600)
	if err := adapt([]string{"create", "--bundle", bundle, "id"}); err != nil {
		t.Fatal(err)
	}
	after, _ := os.ReadFile(path)
	if !strings.Contains(string(after), `"big":12345678901234567890`) || strings.Contains(string(after), "FUTURE") {
		t.Errorf("got %s", after)
	}
}

func TestAdaptLeavesOtherCommandsAlone(t *testing.T) {
	if err := adapt([]string{"state", "--bundle", "/nowhere", "id"}); err != nil {
		t.Error(err)
	}
}
