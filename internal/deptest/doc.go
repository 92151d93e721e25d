// Package deptest holds no code, only tests of how the packages of this module
// hang together: which room may reach which package, that every package says in
// one place what it is, and how much a minimal consumer links.
//
// A linter sees the imports of one file; these tests also see what is reached
// through other packages.
package deptest
