// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"testing"
)

func TestDial(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/hostname", hostname)
	mux.HandleFunc("/dial", dial)
	server := httptest.NewServer(mux)
	defer server.Close()
	address, _ := url.Parse(server.URL)
	name, _ := os.Hostname()

	ask := func(request, tries string) map[string][]string {
		query := url.Values{"host": {address.Hostname()}, "port": {address.Port()}, "request": {request}, "tries": {tries}}
		response, err := http.Get(server.URL + "/dial?" + query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answers := map[string][]string{}
		if err := json.NewDecoder(response.Body).Decode(&answers); err != nil {
			t.Fatal(err)
		}
		return answers
	}

	if answers := ask("hostname", "2"); !slices.Equal(answers["responses"], []string{name, name}) {
		t.Errorf("got %v", answers)
	}
	if answers := ask("nothing", "1"); len(answers["errors"]) != 1 || answers["responses"] != nil {
		t.Errorf("a page that does not exist is a response: %v", answers)
	}
	if answers := ask("hostname", "many"); len(answers["responses"]) != 1 {
		t.Errorf("got %v", answers)
	}
}
