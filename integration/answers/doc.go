// Package answers holds one test: the embedded Nacos answers an operator's HTTP
// requests as a real one does.
package answers
