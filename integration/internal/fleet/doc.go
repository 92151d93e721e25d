// Package fleet runs providers as processes of their own, for tests, and asks them: the
// test binary plays them, so that they can be terminated and killed as real ones are.
package fleet
