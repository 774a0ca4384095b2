// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Probe is the lab's test image for the role verify. It speaks the part of the command `netexec` of Kubernetes' own
// test image agnhost (registry.k8s.io/e2e-test-images/agnhost) that the role uses, so that both do the same:
//
//	probe netexec [--http-port 8080]
//	    /hostname                                           answers the name of the pod
//	    /dial?host=NAME&port=PORT&request=hostname&protocol=http&tries=1
//	                                                        asks http://NAME:PORT/hostname, answers JSON:
//	                                                        {"responses": ["pod"]} or {"errors": ["why"]}
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	// The first process of a container has no default signal handlers: without this SIGTERM would be ignored.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		os.Exit(0)
	}()
	if len(os.Args) < 2 || os.Args[1] != "netexec" {
		fmt.Fprintln(os.Stderr, "usage: probe netexec [--http-port 8080]")
		os.Exit(2)
	}
	flags := flag.NewFlagSet("netexec", flag.ExitOnError)
	port := flags.Int("http-port", 8080, "port to listen on")
	_ = flags.Parse(os.Args[2:])
	http.HandleFunc("/hostname", hostname)
	http.HandleFunc("/dial", dial)
	fmt.Fprintln(os.Stderr, http.ListenAndServe(fmt.Sprintf(":%d", *port), nil))
	os.Exit(1)
}

func hostname(response http.ResponseWriter, _ *http.Request) {
	name, err := os.Hostname()
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(response, name)
}

func dial(response http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	tries, err := strconv.Atoi(query.Get("tries"))
	if err != nil || tries < 1 {
		tries = 1
	}
	address := net.JoinHostPort(query.Get("host"), query.Get("port"))
	answers := map[string][]string{}
	for ; tries > 0; tries-- {
		body, err := ask("http://" + address + "/" + query.Get("request"))
		if err != nil {
			answers["errors"] = append(answers["errors"], err.Error())
		} else {
			answers["responses"] = append(answers["responses"], body)
		}
	}
	_ = json.NewEncoder(response).Encode(answers)
}

func ask(url string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), err
}
