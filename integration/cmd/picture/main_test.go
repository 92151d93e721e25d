package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const played = `Nacos: embedded, at 127.0.0.1:21244

1  no rules: every instance gets its share
   http  anyone               ██████████████████████▒▒▒▒▒▒▒▒   v1  210  74.7 %   v2   71  25.3 %
   in lane canary, via order  ███████████████████████▒▒▒▒▒▒▒   v1  211  75.6 %   v2   68  24.4 %

2  a header names the version: {name: asked-for, by: header.x-gray-version}
   http  anyone               ██████████████████████████████   v1  267 100.0 %
   in lane canary, via order  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   v3  331 100.0 %
   first request under the new rules, after the publish's answer:  http 9.5ms  grpc 800µs
`

func TestTheTablesAreRead(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []step{
		{"no rules: every instance gets its share", []row{
			{"http  anyone", [3]float64{74.7, 25.3, 0}}, {"in lane canary, via order", [3]float64{75.6, 24.4, 0}},
		}},
		{"a header names the version", []row{
			{"http  anyone", [3]float64{100, 0, 0}}, {"in lane canary, via order", [3]float64{0, 0, 100}},
		}},
	}, steps(played))
}

func TestThePictureIsXML(t *testing.T) {
	t.Parallel()
	text, err := draw(played)
	require.NoError(t, err)
	d := xml.NewDecoder(strings.NewReader(string(text)))
	elements := map[string]int{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
	assert.Equal(t, 1+2*3, elements["rect"])
	assert.Equal(t, 2+2+2*2+1, elements["text"])

	_, err = draw("nothing")
	require.Error(t, err)
}
