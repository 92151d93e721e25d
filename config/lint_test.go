package config

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lintThere lints a service document whose instances are of version v1 and v3.
func lintThere(content string) Problems {
	problems, _ := Lint("gray.order.yaml", []byte(content), func(labels map[string]string) bool {
		return len(labels) == 1 && slices.Contains([]string{"v1", "v3"}, labels["version"])
	})
	return problems
}

func TestProblemsOfMissingInstancesStandWhereTheyAre(t *testing.T) { instanceProblems().run(t) }

func instanceProblems() table {
	const root = "gray: v1\ndefault: v1\n" // what is wrong stands at line 3
	return table{lintThere, map[string]wrong{
		"all are there":                   {root + "rules:\n- {name: a, to: v3}\n", nil},
		"a version is not":                {root + "rules:\n- {name: a, to: v2}\n", []string{"4:17 no-instance"}},
		"an arm is not":                   {root + "rules:\n- {name: a, to: {v3: 1%, v2: 1%}}\n", []string{"4:26 no-instance"}},
		"the default is not":              {"gray: v1\ndefault: v2\n", []string{"2:10 no-instance"}},
		"limits are of none":              {root + "limits: {v2: {}, v3: {}}\n", []string{"3:10 no-instance"}},
		"said once":                       {root + "limits: {v2: {}}\nrules:\n- {name: a, to: v2, when: {path: a}}\n- {name: b, to: {v2: 1%}}\n", []string{"5:17 no-instance"}},
		"a declared target is not":        {root + "targets: {v1: {version: v1}, v2: {version: v2}, v3: {version: v3, env: gray}}\nrules: [{name: a, to: v2}]\n", []string{"3:30 no-instance", "3:49 no-instance"}},
		"a request's target is not known": {root + "rules:\n- {name: a, by: user}\n", nil},
		"a warning among errors":          {root + "targets: {v2: {version: v2}, v3: {}, v1: {version: v1}}\nrules: [{name: a, to: v4}]\n", []string{"3:11 no-instance", "3:34 bad-value", "4:23 unknown-target"}},
	}}
}

func TestAFilesNameTellsTheKindOfDocument(t *testing.T) {
	for file, content := range map[string]string{
		"gray.order.yaml":             "gray: v1\ndefault: v1\n",
		"/etc/gray/gray.order.yaml":   "gray: v1\nservice: order\ndefault: v1\n",
		"gray.order.api-v2.yaml":      "gray: v1\nservice: order.api-v2\ndefault: v1\n",
		"gray._global.yaml":           "gray: v1\nlanes: {}\n",
		"a/gray._global.yaml":         "gray: v1\nenter: []\n",
		"switches.order.yaml":         "gray: v1\nswitches: {}\n",
		"switches._global.yaml":       "gray: v1\nswitches: {}\n",
		"b.c/switches.order.api.yaml": "gray: v1\nswitches: {}\n",
	} {
		problems, err := Lint(file, []byte(content), nil)
		require.NoError(t, err, file)
		assert.Empty(t, problems, file)
		problems, err = Lint(file, []byte("gray: v1\n? a\n"), nil)
		require.NoError(t, err, file)
		require.NotEmpty(t, problems, file)
		assert.Equal(t, file, problems[0].File)
	}
	for _, file := range []string{
		"", "gray", "gray.yaml", "gray..yaml", "gray.order.yml", "gray.order.yaml.bak", "order.yaml", "Gray.order.yaml",
		"switches.yaml", "switch.order.yaml", "_global.yaml", "gray.order.yaml/x", "gray_order.yaml",
	} {
		problems, err := Lint(file, []byte("gray: v1\n"), nil)
		require.ErrorIs(t, err, ErrUnknownKind, file)
		assert.Nil(t, problems, file)
	}
}
