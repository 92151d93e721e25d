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
  graylane publish FILE      makes a document live, and waits for the consumers
  graylane status SERVICE    which consumers follow what is live
  graylane get SERVICE       the document that is live
  graylane history SERVICE   who has changed it, and when
  graylane rollback SERVICE  goes back to what was there before
  graylane version           which build this is
  graylane help [COMMAND]    this, or more about a command

Exit codes: 0 fine; 1 a document has errors, not everybody follows, somebody was
faster, or Nacos cannot be reached; 2 the command line or an input file is of no
use.
`

const lintText = `graylane lint [--json] [--instances FILE] FILE...
graylane lint --nacos ADDR [--json] DOCUMENT...

Prints every problem as FILE:LINE:COL: CODE: message, with the line below; of a
warning as FILE:LINE:COL: CODE: warning: message. The file's name says what it
is: gray.SERVICE.yaml, gray._global.yaml, switches.SERVICE.yaml,
switches._global.yaml. Warnings alone end with 0.

  --json              one object a line:
                      file, line, col, code, severity, message
  --instances FILE    instances of the service, one JSON object a line, to warn
                      of targets that have none
  --nacos ADDR        read documents and instances there, not from files;
                      a plain SERVICE stands for gray.SERVICE.yaml
  --live              as --nacos, of the environment's NACOS_ADDR
` + liveText + `
  graylane lint gray.order.yaml
  graylane lint --nacos 127.0.0.1:8848 --namespace dev order
`

const explainText = `graylane explain --service NAME --instances FILE --requests FILE
                 [--rules FILE] [--global FILE] [--against FILE] [--json]
                 [--protocol P] [--default-version V]
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
  --protocol P        the consumer's, http or grpc: instances of the other are
                      no candidates; without it all instances are
  --default-version V the consumer's own default, where there is no document
  --json              one answer a line; with --against one move a line, also of
                      those who stay: from, to, count, requests
  --nacos ADDR        what is live there, where no file is given
  --live              as --nacos, of the environment's NACOS_ADDR
` + liveText + `
A request without "slot" gets one where a split draws it: 4143 times its index,
modulo 10000, so that shares come out right.

  graylane explain --rules gray.order.yaml --service order \
      --instances instances.jsonl --requests requests.jsonl
  echo '{"id":"r1","user":"u1"}' |
      graylane explain --nacos 127.0.0.1:8848 --service order --requests -
`

const statusText = `graylane status [--json] SERVICE

Says which revision of the service's document each consumer has applied, as the
consumers announce it themselves, and names those who do not follow what is
live, or the global document, with the reason: behind, refused, or kept, as
there is no document any more. What is wrong with a refused document stands
below. TOOK is from the push to being applied, by the consumer's clock; BOOT
differs between processes. Not all follow: exit code 1.

Consumers that were opened with WithoutAnnouncements are not listed; one that
hangs is, until Nacos has noticed.

  --json              one object: service, revision, global, follow, consumers
  --nacos ADDR        default NACOS_ADDR, or 127.0.0.1:8848
` + liveText

const publishText = `graylane publish [--dry-run | --yes] [--wait 10s] [-v] [--json] FILE

Makes a document live: checks it as lint does, shows what would change, asks,
publishes it in the place of what was shown and of nothing else, waits until
each consumer has applied it. It says how long that took: from the push until
the rules were in force, by each consumer's clock, and until this command knew
of it, as consumers announce what they have once a second at most. The file's
name says what it is, see graylane help lint.

Exit code 1: it was not published, or not everybody has applied it; who was
there and has gone has not. Consumers tell of rules alone, of 100 services each:
with other documents nobody is waited for.

  --dry-run           shows what would change, and ends
  --yes               does not ask
  --wait 10s          how long consumers may take; 0: does not wait
  --anyway            though consumers speak another version of the language, or
                      lack a feature that the document needs
  -v                  times of each consumer
  --json              one object: document, revision, applied, consumers, gone;
                      the rest goes to stderr
  --nacos ADDR        default NACOS_ADDR, or 127.0.0.1:8848
` + liveText

const rollbackText = `graylane rollback [--to CHANGE] [--dry-run | --yes] SERVICE

Publishes the document as it was before its last change, or as the change made
it that graylane history lists by that number; the rest is as with publish.
It is a change itself: a second rollback undoes the first.

  --to CHANGE         a number of graylane history
  --console ADDR      of Nacos's console, where nodes do not answer
  --dry-run, --yes, --wait, --anyway, -v, --json, --nacos: as graylane publish
` + liveText

const historyText = `graylane history [--last 10] [--json] SERVICE

Lists the last changes of a document, and the revision that each has made. What
was on trial, for some consumers alone, is left out.

  --last 10           how many
  --json              one object a line: id, at, type, revision, user, from
  --console ADDR      of Nacos's console, where nodes do not answer
  --nacos ADDR        default NACOS_ADDR, or 127.0.0.1:8848
` + liveText

const getText = `graylane get SERVICE

Prints the document that is live. Without one the exit code is 1. Other
documents have names as gray._global.yaml or switches.SERVICE.yaml.

  --nacos ADDR        default NACOS_ADDR, or 127.0.0.1:8848
` + liveText + `
  graylane get order > gray.order.yaml
`

const liveText = `  --namespace ID      of the services and documents; default public
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
		"status": statusText, "publish": publishText, "rollback": rollbackText, "history": historyText, "get": getText,
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
