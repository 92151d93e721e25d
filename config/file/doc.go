// Package file keeps documents as files of one directory: for tests, for the
// command line, and for processes whose rules are mounted into them.
package file
