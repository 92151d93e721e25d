package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
)

const helpText = `graylane helps operators of gray releases.

  graylane lint FILE...      what is wrong with a document, before it is live
  graylane explain ...       who gets a request, and why; what a change moves
  graylane version           which build this is
  graylane help [COMMAND]    this, or more about a command

Exit codes: 0 fine; 1 a document has errors, or Nacos cannot be reached;
2 the command line or an input file is of no use.
`

const lintText = `graylane lint [--json] [--instances FILE] FILE...
graylane lint --nacos ADDR [--json] DOCUMENT...

Prints every problem as FILE:LINE:COL: CODE: message, with the line below. The
file's name says what it is: gray.SERVICE.yaml, gray._global.yaml,
switches.SERVICE.yaml, switches._global.yaml. Warnings alone end with 0.

  --json              one object a line:
                      file, line, col, code, severity, message
  --instances FILE    instances of the service, one JSON object a line, to warn
                      of targets that have none
  --nacos ADDR        read documents and instances there, not from files;
                      a plain SERVICE stands for gray.SERVICE.yaml
` + liveText + `
  graylane lint gray.order.yaml
  graylane lint --nacos 127.0.0.1:8848 --namespace dev order gray._global.yaml
`

const explainText = `graylane explain --service NAME --instances FILE --requests FILE
                 [--rules FILE] [--global FILE] [--against FILE] [--json]
graylane explain --nacos ADDR --service NAME --requests FILE [--against FILE]

Says for each request which rules it was held against, who the candidates are,
and what the caller sees. Without --rules it is explained as without a document.

  --rules FILE        the service's document; its name does not matter
  --global FILE       the global document
  --instances FILE    one JSON object a line:
                      {"addr":"10.0.0.1:80","metadata":{"version":"v1"}}
  --requests FILE     one JSON object a line; - is stdin:
                      {"id":"r1","path":"/a","headers":{"x-user-id":["u1"]}}
                      also method, cookies, query, user, lane, caller, slot
  --against FILE      another version of the document: how many requests go from
                      where to where when it takes the place of --rules
  --default-version V the consumer's own default, where there is no document
  --json              one answer a line; with --against one move a line, also of
                      those who stay: from, to, count, requests
  --nacos ADDR        what is live there, where no file is given
` + liveText + `
A request without "slot" gets one where a split draws it: 4143 times its index,
modulo 10000, so that shares come out right.

  graylane explain --rules gray.order.yaml --service order \
      --instances instances.jsonl --requests requests.jsonl
  echo '{"id":"r1","user":"u1"}' |
      graylane explain --nacos 127.0.0.1:8848 --service order --requests -
`

const liveText = `  --live              as --nacos, of the environment's NACOS_ADDR
  --namespace ID      of the services and documents; default public
  --group GROUP       of the documents; default GRAY
  --service-group G   of the services; default DEFAULT_GROUP
  --timeout 5s        how long Nacos may take
                      The environment's NACOS_NAMESPACE, NACOS_GROUP (of the
                      services), NACOS_USERNAME and NACOS_PASSWORD count too.
`

const versionText = `graylane version

Prints the version of this build.
`

func help(_ context.Context, s streams, args []string) error {
	texts := map[string]string{
		"": helpText, "lint": lintText, "explain": explainText, "version": versionText,
		"help": helpText,
	}
	text, ok := texts[strings.Join(args, " ")]
	if !ok {
		return unusable("there is no command %q; see graylane help", strings.Join(args, " "))
	}
	_, err := io.WriteString(s.out, text)
	return err
}

func version(_ context.Context, s streams, args []string) error {
	if _, err := parse(newFlags("version"), args); err != nil {
		return err
	}
	words := []string{"graylane"}
	if info, ok := debug.ReadBuildInfo(); ok {
		words = append(words, cmp.Or(info.Main.Version, "(devel)"), info.GoVersion)
	}
	_, err := fmt.Fprintln(s.out, strings.Join(words, " "))
	return err
}
