//go:build graylane_pinned && !race

// Empty: the compiler takes functions without a body only where there is assembly.
