package config

import "testing"

func TestProblemsOfFieldsStandWhereTheyAre(t *testing.T) { fieldProblems().run(t) }

// fieldProblems are those of the fields of a service document that are neither
// targets nor rules.
func fieldProblems() table {
	const root = "gray: v1\ndefault: v1\n" // what is wrong stands at line 3
	return table{lintRules, map[string]wrong{
		// Isolated addresses.
		"addresses":                           {root + "isolate: [10.0.0.7:8080, '10.0.0.7:1', '[::1]:80', '[FE80::1%eth0]:65535', '[::ffff:10.0.0.7]:80']\n", nil},
		"an address twice":                    {root + "isolate: [10.0.0.7:80, 10.0.0.7:80]\n", nil},
		"no addresses":                        {root + "isolate: []\n", nil},
		"isolate without value":               {root + "isolate:\n", []string{"3:9 wrong-type"}},
		"isolate is an address":               {root + "isolate: 10.0.0.7:80\n", []string{"3:10 wrong-type"}},
		"isolate is a map":                    {root + "isolate: {10.0.0.7: 80}\n", []string{"3:10 wrong-type"}},
		"isolate has lists, maps, nulls":      {root + "isolate: [[a], {a: b}, ~, 80, '']\n", []string{"3:11 wrong-type", "3:16 wrong-type", "3:24 needs-quotes", "3:27 needs-quotes", "3:31 bad-address"}},
		"an empty item":                       {root + "isolate:\n-\n- 10.0.0.7:80\n", []string{"4:2 needs-quotes"}},
		"an address with an anchor":           {root + "isolate: [&a 10.0.0.7:80, a]\n", []string{"3:11 anchor", "3:27 bad-address"}},
		"without a port":                      {root + "isolate: [10.0.0.7, '10.0.0.7:', '[::1]', '::1']\n", []string{"3:11 bad-address", "3:21 bad-address", "3:34 bad-address", "3:43 bad-address"}},
		"ports":                               {root + "isolate: ['10.0.0.7:0', 10.0.0.7:65536, '10.0.0.7:+1', '10.0.0.7:-1', '10.0.0.7:http', '10.0.0.7: 80']\n", []string{"3:11 bad-address", "3:25 bad-address", "3:41 bad-address", "3:56 bad-address", "3:71 bad-address", "3:88 bad-address"}},
		"zeros before a port":                 {root + "isolate: ['10.0.0.7:0080']\n", nil},
		"zeros before a number of an address": {root + "isolate: ['010.0.0.7:80', '10.0.0.007:80']\n", []string{"3:11 bad-address", "3:27 bad-address"}},
		"IPv6 without brackets":               {root + "isolate: ['::1:80', 'fd00::7:80']\n", []string{"3:11 bad-address", "3:21 bad-address"}},
		"brackets":                            {root + "isolate: ['[10.0.0.7]:80', '[::1:80', '[::1]80', '[::g]:80', '[fe80::1%]:80']\n", []string{"3:11 bad-address", "3:28 bad-address", "3:39 bad-address", "3:50 bad-address", "3:62 bad-address"}},
		"no addresses but names":              {root + "isolate: ['localhost:80', '10.0.0.7/32:80', '*:80', '10.0.0.256:80', '10.0.7:80', ' 10.0.0.7:80']\n", []string{"3:11 bad-address", "3:27 bad-address", "3:45 bad-address", "3:53 bad-address", "3:70 bad-address", "3:83 bad-address"}},
		// Preferred labels.
		"labels":                     {root + "prefer: [region, zone, a.b_c-d, -]\n", nil},
		"no labels":                  {root + "prefer: []\n", nil},
		"prefer without value":       {root + "prefer:\n", []string{"3:8 wrong-type"}},
		"prefer is a label":          {root + "prefer: zone\n", []string{"3:9 wrong-type"}},
		"prefer is a map":            {root + "prefer: {zone: 1}\n", []string{"3:9 wrong-type"}},
		"a label twice":              {root + "prefer: [zone, region, zone, zone]\n", []string{"3:24 bad-value", "3:30 bad-value"}},
		"labels differ in case":      {root + "prefer: [zone, Zone]\n", nil},
		"no labels' names":           {root + "prefer: [a b, '', a/b, 盐, 1, no, [zone], {zone: a}, &a zone]\n", []string{"3:10 bad-name", "3:15 bad-name", "3:19 bad-name", "3:24 bad-name", "3:27 needs-quotes", "3:30 needs-quotes", "3:34 wrong-type", "3:42 wrong-type", "3:53 anchor"}},
		"the longest label":          {root + "prefer: [aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n", []string{"3:76 bad-name"}},
		"a label twice that is none": {root + "prefer: [a b, a b]\n", []string{"3:10 bad-name", "3:15 bad-name"}},
		"shares":                     {root + "prefer_min: 12.5%\n", nil},
		"a share in quotes":          {root + "prefer_min: '100%'\n", nil},
		"prefer_min without value":   {root + "prefer_min:\n", []string{"3:12 bad-percent"}},
		"prefer_min is a number":     {root + "prefer_min: 10\n", []string{"3:13 bad-percent"}},
		"prefer_min is above 100%":   {root + "prefer_min: 100.01%\n", []string{"3:13 bad-percent"}},
		"prefer_min is a list":       {root + "prefer_min: [10%]\n", []string{"3:13 wrong-type"}},
		"prefer_min is a map":        {root + "prefer_min: {zone: 10%}\n", []string{"3:13 wrong-type"}},
		"prefer_min without prefer":  {root + "prefer_min: 0%\n", nil},
		// What happens when the default has nobody.
		"degrade":                           {root + "degrade: any\n", nil},
		"degrade in quotes":                 {root + "degrade: 'fail'\n", nil},
		"degrade without value":             {root + "degrade:\n", []string{"3:9 bad-value"}},
		"degrade to what":                   {root + "degrade: all\n", []string{"3:10 bad-value"}},
		"degrade is a bool":                 {root + "degrade: true\n", []string{"3:10 bad-value"}},
		"degrade is a word in another case": {root + "degrade: Any\n", []string{"3:10 bad-value"}},
		"degrade is a list":                 {root + "degrade: [any]\n", []string{"3:10 wrong-type"}},
		"degrade with a tag":                {root + "degrade: !a any\n", []string{"3:10 anchor"}},
		// Names of fields.
		"fields near the known":        {root + "isolated: []\nprefer-min: 1%\nGuard: {}\nlimit: {}\n", []string{"3:1 unknown-field", "4:1 unknown-field", "5:1 unknown-field", "6:1 unknown-field"}},
		"free fields hold anything":    {root + "x-: 1\nx-guard: {errors: 10, a: [{}, ~]}\n", nil},
		"not free":                     {root + "X-a: 1\nx: 1\n_x-a: 1\n", []string{"3:1 unknown-field", "4:1 unknown-field", "5:1 unknown-field"}},
		"a known field with an anchor": {root + "&a isolate: 1\n", []string{"3:1 anchor"}},
		"fields twice":                 {root + "prefer: []\nprefer: a\nprefer: [a, a]\n", []string{"4:1 duplicate-key", "5:1 duplicate-key"}},
		"a rule's fields":              {root + "to: v1\nsticky: user\n", []string{"3:1 unknown-field", "4:1 unknown-field"}},
		"another document's fields":    {root + "lanes: {}\nenter: []\nswitches: {}\n", []string{"3:1 unknown-field", "4:1 unknown-field", "5:1 unknown-field"}},
		"all are reported":             {"gray: v1\ndefaul: 1\nisolate: [a]\nprefer: [1]\nprefer_min: 1\ndegrade: a\nguard: []\nlimits: []\nbalance: a\nneeds: [a]\n", []string{"1:1 missing-field", "2:1 unknown-field", "3:11 bad-address", "4:10 needs-quotes", "5:13 bad-percent", "6:10 bad-value", "7:8 wrong-type", "8:9 wrong-type", "9:10 bad-value", "10:9 unsupported-need"}},
		// A rule's names and salts.
		"a salt that is empty":        {root + "rules:\n- {name: a, to: {v2: 1%}, salt: ''}\n", []string{"4:33 bad-value"}},
		"a salt that is a list":       {root + "rules:\n- {name: a, to: {v2: 1%}, salt: [a]}\n", []string{"4:33 wrong-type"}},
		"a label that is empty":       {root + "targets: {v1: {version: ''}}\n", []string{"3:25 bad-value"}},
		"a target twice":              {root + "targets: {v1: {a: b}, v1: {a: c}}\n", []string{"3:23 duplicate-key"}},
		"targets of nothing":          {root + "targets: {}\n", []string{"3:10 bad-value"}},
		"too many names":              {root + "rules:\n- {name: [a], to: v2}\n- {name: {a: b}, to: v2}\n", []string{"4:10 wrong-type", "5:4 unreachable", "5:10 wrong-type"}},
		"to and by":                   {root + "rules:\n- {to: v2, by: user, name: a}\n", []string{"4:4 to-or-by"}},
		"an arm twice in another way": {root + "rules:\n- {name: a, to: {v2: 1%, \"v2\": 1%}}\n", []string{"4:26 duplicate-key"}},
		"a rule's x- field":           {root + "rules:\n- {name: a, to: v2, x-why: [1], y-why: 1}\n", []string{"4:33 unknown-field"}},
	}}
}
