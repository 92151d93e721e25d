package main

import "go.yaml.in/yaml/v3"

// needs returns what a document says that consumers must be able to do. What else it
// holds is nobody's business here: lint has said whether it is any good.
func needs(content []byte) []string {
	var doc struct {
		Needs []string `yaml:"needs"`
	}
	_ = yaml.Unmarshal(content, &doc)
	return doc.Needs
}
