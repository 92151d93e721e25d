package nacos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// minJava is the oldest Java that Nacos 3 runs on.
const minJava = 17

// dependencyPlugin is pinned so that a fetch means the same everywhere.
const dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"

const howJava = "a real Nacos needs a JDK 17 or newer (Debian: apt-get install openjdk-17-jdk-headless; macOS: brew install openjdk@17)"

const howMaven = "the jars of Nacos come through Maven (Debian: apt-get install maven; macOS: brew install maven)"

// installation is what starting a node needs.
type installation struct {
	release
	java      string   // path of the program
	classPath []string // in order
}

// install finds Java, and the jars in the cache; it fetches them if they are not
// there. Processes that do so at the same time wait for the first.
func install(ctx context.Context, r release, o Options) (installation, error) {
	java, err := findJava(ctx)
	if err != nil {
		return installation{}, err
	}
	cache := o.Cache
	if cache == "" {
		if cache, err = defaultCache(); err != nil {
			return installation{}, err
		}
	}
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return installation{}, fmt.Errorf("nacos: %w", err)
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return installation{}, err
	}
	defer unlock()
	jars := filepath.Join(cache, r.jars)
	if _, err := os.Stat(jars); errors.Is(err, fs.ErrNotExist) {
		o.Logf("nacos: fetching the server's jars (150 to 190 MB) into %s, once", jars)
		if err := fetch(ctx, r, cache, jars); err != nil {
			return installation{}, err
		}
	}
	cp, err := classPath(jars)
	return installation{release: r, java: java, classPath: cp}, err
}

// fetch copies the jars into a folder beside jars and renames it at the end: a
// folder of that name is complete.
func fetch(ctx context.Context, r release, cache, jars string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("%w: mvn is not in PATH; %s", ErrMissing, howMaven)
	}
	tmp, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }() // what is left of it is only disk space
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), r.pom, 0o600); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	out := filepath.Join(tmp, "jars")
	cmd := exec.CommandContext(ctx, mvn, "-B", "-q", dependencyPlugin+":copy-dependencies", //nolint:gosec // a fixed command
		"-DincludeScope=runtime", "-DoutputDirectory="+out)
	cmd.Dir = tmp
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nacos: mvn could not fetch the jars: %w\n%s", err, lastLines(msg, 20))
	}
	if err := os.Rename(out, jars); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	return nil
}

// classPath returns the jars of dir. Hessian 4 comes first: an older copy of the
// same classes would win otherwise, and the server would not start.
func classPath(dir string) ([]string, error) {
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	first := func(jar string) int {
		if strings.HasPrefix(filepath.Base(jar), "hessian-4.") {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(jars, func(a, b string) int { return first(a) - first(b) })
	if len(jars) == 0 || first(jars[0]) != 0 {
		return nil, fmt.Errorf("nacos: %s does not hold the server's jars; remove it to fetch them again", dir)
	}
	return jars, nil
}

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// findJava returns the path of a Java that is new enough.
func findJava(ctx context.Context) (string, error) {
	java, err := exec.LookPath("java")
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java, err = exec.LookPath(filepath.Join(home, "bin", "java"))
	}
	if err != nil {
		return "", fmt.Errorf("%w: java is neither in PATH nor in JAVA_HOME; %s", ErrMissing, howJava)
	}
	out, err := exec.CommandContext(ctx, java, "-version").CombinedOutput() //nolint:gosec // the user's Java
	if err != nil {
		return "", fmt.Errorf("nacos: %s -version: %w\n%s", java, err, out)
	}
	m := javaVersion.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("nacos: %s -version says no version: %s", java, out)
	}
	if v, err := strconv.Atoi(string(m[1])); err != nil || v < minJava {
		return "", fmt.Errorf("%w: %s is Java %s; %s", ErrMissing, java, m[1], howJava)
	}
	// Starting a source file takes the compiler, which a JRE lacks.
	mods, err := exec.CommandContext(ctx, java, "--list-modules").Output() //nolint:gosec // the user's Java
	if err != nil {
		return "", fmt.Errorf("nacos: %s --list-modules: %w", java, err)
	}
	if !bytes.Contains(mods, []byte("jdk.compiler")) {
		return "", fmt.Errorf("%w: %s is a JRE; %s", ErrMissing, java, howJava)
	}
	return java, nil
}

// defaultCache returns .cache/nacos of the repository that holds the working
// directory.
func defaultCache() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("nacos: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "integration", "nacos", "pom.xml")); err == nil {
			return filepath.Join(d, ".cache", "nacos"), nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("nacos: %s is not in the repository: name a cache folder", dir)
		}
	}
}

// lock takes the lock file, waiting for whoever holds it. The system gives it
// back when the process ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // a path of our own
	if err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("nacos: lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing gives the lock back
}
