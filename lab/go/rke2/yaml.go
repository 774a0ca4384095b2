// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A reader of the YAML that people write into such files: mappings, lists and scalars on one line, also in brackets.
// All scalars are texts. What it does not know is an error.

type yamlLine struct {
	indent, number int
	text           string
}

type yamlReader struct {
	lines []yamlLine
	at    int
}

func parseYAML(text string) (any, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		var document any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		err := decoder.Decode(&document)
		return document, err
	}
	reader := &yamlReader{}
	for number, raw := range strings.Split(text, "\n") {
		line := strings.TrimRight(withoutComment(raw), " \t\r")
		content := strings.TrimLeft(line, " ")
		if content == "" || content == "---" {
			continue
		}
		if strings.HasPrefix(content, "\t") {
			return nil, fmt.Errorf("yaml: line %d: found character that cannot start any token", number+1)
		}
		reader.lines = append(reader.lines, yamlLine{len(line) - len(content), number + 1, content})
	}
	if len(reader.lines) == 0 {
		return map[string]any{}, nil
	}
	value, err := reader.block(reader.lines[0].indent)
	if err == nil && reader.at < len(reader.lines) {
		err = reader.wrong("did not find expected key")
	}
	return value, err
}

func (r *yamlReader) wrong(what string) error {
	return fmt.Errorf("yaml: line %d: %s", r.lines[min(r.at, len(r.lines)-1)].number, what)
}

func isItem(text string) bool { return text == "-" || strings.HasPrefix(text, "- ") }

func (r *yamlReader) block(indent int) (any, error) {
	if isItem(r.lines[r.at].text) {
		return r.list(indent)
	}
	return r.mapping(indent)
}

func (r *yamlReader) list(indent int) (any, error) {
	items := []any{}
	for r.at < len(r.lines) && r.lines[r.at].indent == indent && isItem(r.lines[r.at].text) {
		line := &r.lines[r.at]
		rest := strings.TrimLeft(line.text[1:], " ")
		var item any
		var err error
		if _, _, found := splitKey(rest); found || isItem(rest) {
			line.indent, line.text = indent+len(line.text)-len(rest), rest
			item, err = r.block(line.indent)
		} else {
			item, err = r.value(rest, indent)
		}
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (r *yamlReader) mapping(indent int) (any, error) {
	found := map[string]any{}
	for r.at < len(r.lines) && r.lines[r.at].indent == indent && !isItem(r.lines[r.at].text) {
		key, rest, isKey := splitKey(r.lines[r.at].text)
		if !isKey {
			return nil, r.wrong("could not find expected ':'")
		}
		value, err := r.value(rest, indent)
		if err != nil {
			return nil, err
		}
		found[key] = value
	}
	return found, nil
}

// value reads what stands behind a key or a dash, or in the lines below it.
func (r *yamlReader) value(rest string, indent int) (any, error) {
	if rest != "" {
		value, err := scalar(rest)
		if err != nil {
			return nil, r.wrong(err.Error())
		}
		r.at++
		return value, nil
	}
	isKey := !isItem(r.lines[r.at].text)
	r.at++
	if r.at == len(r.lines) {
		return nil, nil
	}
	next := r.lines[r.at]
	if next.indent > indent || isKey && next.indent == indent && isItem(next.text) {
		return r.block(next.indent)
	}
	return nil, nil
}

// outside calls a function with each character that stands in no quotes, until it returns false.
func outside(text string, visit func(at int, character byte) bool) {
	quote := byte(0)
	for at := 0; at < len(text); at++ {
		character := text[at]
		switch {
		case quote == '"' && character == '\\':
			at++
		case quote != 0:
			if character == quote {
				quote = 0
			}
		case (character == '"' || character == '\'') && (at == 0 || strings.IndexByte(" [{,:", text[at-1]) >= 0):
			quote = character
		case !visit(at, character):
			return
		}
	}
}

func withoutComment(line string) string {
	end := len(line)
	outside(line, func(at int, character byte) bool {
		if character == '#' && (at == 0 || line[at-1] == ' ' || line[at-1] == '\t') {
			end = at
		}
		return end == len(line)
	})
	return line[:end]
}

func splitKey(text string) (key, rest string, found bool) {
	if text == "" || strings.IndexByte("[{", text[0]) >= 0 {
		return "", "", false
	}
	cut := -1
	outside(text, func(at int, character byte) bool {
		if character == ':' && (at+1 == len(text) || text[at+1] == ' ') {
			cut = at
		}
		return cut < 0
	})
	if cut < 0 {
		return "", "", false
	}
	name, err := scalar(text[:cut])
	key, isText := name.(string)
	return key, strings.TrimSpace(text[cut+1:]), err == nil && isText
}

func scalar(text string) (any, error) {
	text = strings.TrimSpace(text)
	last := len(text) - 1
	switch {
	case text == "" || text == "null" || text == "~":
		return nil, nil
	case text[0] == '"':
		var value string
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("found unexpected end of stream in %s", text)
		}
		return value, nil
	case text[0] == '\'':
		if last == 0 || text[last] != '\'' {
			return nil, fmt.Errorf("found unexpected end of stream in %s", text)
		}
		return strings.ReplaceAll(text[1:last], "''", "'"), nil
	case text[0] == '[' && text[last] == ']':
		items := []any{}
		for _, part := range splitFlow(text[1:last]) {
			item, err := scalar(part)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		return items, nil
	case text[0] == '{' && text[last] == '}':
		found := map[string]any{}
		for _, part := range splitFlow(text[1:last]) {
			key, rest, isKey := splitKey(part)
			if !isKey {
				return nil, fmt.Errorf("did not find expected ',' or '}'")
			}
			value, err := scalar(rest)
			if err != nil {
				return nil, err
			}
			found[key] = value
		}
		return found, nil
	case strings.IndexByte("[{|>&*!%@`", text[0]) >= 0:
		return nil, fmt.Errorf("the lab's program does not read %s", text)
	}
	return text, nil
}

func splitFlow(text string) []string {
	parts, start, depth := []string{}, 0, 0
	outside(text, func(at int, character byte) bool {
		switch character {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, strings.TrimSpace(text[start:at]))
				start = at + 1
			}
		}
		return true
	})
	if rest := strings.TrimSpace(text[start:]); rest != "" {
		parts = append(parts, rest)
	}
	return parts
}
