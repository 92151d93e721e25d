package foreign

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// javaJars returns the folder with the Java client's jars. They come from Maven
// Central once, and are kept.
func javaJars(t *testing.T) string {
	t.Helper()
	cache, err := filepath.Abs(filepath.Join("..", "..", ".cache"))
	require.NoError(t, err)
	jars := filepath.Join(cache, "nacos-client-3.1.0")
	if _, err := os.Stat(jars); err == nil {
		return jars
	}
	require.NoError(t, os.MkdirAll(cache, 0o750))
	tmp, err := os.MkdirTemp(cache, "fetch-") //nolint:usetesting // to be renamed, so on the same disk
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(tmp) }) // what is left of it is only disk space
	cmd := exec.CommandContext(t.Context(), "mvn", "-B", "-q", "-f", "java/pom.xml",
		"org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+filepath.Join(tmp, "jars"))
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "mvn could not fetch the Java client: %s", text)
	if err := os.Rename(filepath.Join(tmp, "jars"), jars); err != nil {
		require.DirExists(t, jars, "somebody else was quicker, or: %v", err)
	}
	return jars
}

// javaProcess returns the command of a process that plays the Java client's
// script.
func javaProcess(ctx context.Context, jars string, of task) *exec.Cmd {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	return exec.CommandContext(ctx, java,
		"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Duser.home="+of.Dir, "-DJM.LOG.PATH="+of.Dir, "-DJM.SNAPSHOT.PATH="+of.Dir,
		"-cp", filepath.Join(jars, "*"), "java/Observe.java",
		of.Script, of.Addr, of.Group, of.User, of.Password)
}
