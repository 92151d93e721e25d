package nacos

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNodeServesUntilClose(t *testing.T) {
	n := Run(t)
	assert.NoError(t, getOK(t.Context(), "http://"+n.Addr()+"/nacos/v3/client/ns/instance/list?serviceName=nobody"))
	assert.NoError(t, getOK(t.Context(), "http://"+n.Console()+"/v3/console/server/state"))
	require.ErrorContains(t, n.Start(t.Context()), "runs already")

	require.NoError(t, n.Close())
	require.NoError(t, n.Close(), "a second close")
	<-n.Done()
	for _, port := range n.ports.all() {
		require.Error(t, dial(t.Context(), n.ports.addr(port)), "port %d is still served", port)
	}
	assert.NoDirExists(t, n.home)
}

func TestKilledNodeComesBackWithWhatItHasStored(t *testing.T) {
	n := Run(t)
	const path, document = "/nacos/v3/admin/cs/config?", "dataId=a&groupName=G"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+n.Addr()+path+document+"&content=kept", http.NoBody)
	require.NoError(t, err)
	req.Close = true // leaves no connection behind
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	n.Kill()
	n.Kill() // again
	require.Error(t, n.Pause(), "there is no process to pause")
	require.NoError(t, n.Start(t.Context()))
	text, err := get(t.Context(), "http://"+n.Addr()+path+document)
	require.NoError(t, err)
	assert.Contains(t, string(text), "kept")

	require.NoError(t, n.Wipe())
	require.NoError(t, n.Start(t.Context()))
	require.ErrorContains(t, getOK(t.Context(), "http://"+n.Addr()+path+document), "404", "it was wiped")
}

func TestMissingJavaIsSaidInOneLine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	_, err := Start(t.Context(), Options{Cache: t.TempDir()})
	require.ErrorIs(t, err, ErrMissing)
	assert.Contains(t, err.Error(), "apt-get install openjdk-17-jdk-headless")
	assert.NotContains(t, err.Error(), "\n")
}

func TestOldJavaAndBareRuntimeAreRefused(t *testing.T) {
	for name, script := range map[string]string{
		"old": `echo 'openjdk version "11.0.2"'`,
		"jre": `echo 'openjdk version "21.0.2"'`, // and --list-modules names no compiler
	} {
		t.Run(name, func(t *testing.T) {
			fakeProgram(t, "java", script)
			_, err := Start(t.Context(), Options{Cache: t.TempDir()})
			require.ErrorIs(t, err, ErrMissing)
			assert.Contains(t, err.Error(), "JDK 17")
		})
	}
}

func TestMissingMavenIsSaidOnlyWhereJarsAreMissing(t *testing.T) {
	fakeProgram(t, "java", `echo 'openjdk version "17.0.1"'; echo jdk.compiler@17`)
	cache := t.TempDir()
	_, err := install(t.Context(), releaseV3(), Options{Cache: cache, Logf: t.Logf})
	require.ErrorIs(t, err, ErrMissing)
	assert.Contains(t, err.Error(), "apt-get install maven")

	jars := filepath.Join(cache, "jars")
	require.NoError(t, os.Mkdir(jars, 0o750))
	for _, name := range []string{"a.jar", "hessian-3.3.6.jar", "hessian-4.0.63.jar"} {
		require.NoError(t, os.WriteFile(filepath.Join(jars, name), nil, 0o600))
	}
	in, err := install(t.Context(), releaseV3(), Options{Cache: cache})
	require.NoError(t, err)
	require.Len(t, in.classPath, 3)
	assert.Equal(t, "hessian-4.0.63.jar", filepath.Base(in.classPath[0]))
}

func TestFailedFetchLeavesNoJars(t *testing.T) {
	dir := fakeProgram(t, "java", `echo 'openjdk version "17.0.1"'; echo jdk.compiler@17`)
	addProgram(t, dir, "mvn", `echo no network; exit 1`)
	cache := t.TempDir()
	_, err := install(t.Context(), releaseV3(), Options{Cache: cache, Logf: t.Logf})
	require.ErrorContains(t, err, "no network")
	left, err := filepath.Glob(filepath.Join(cache, "*jars*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestNodeThatEndsEarlyShowsItsLastLines(t *testing.T) {
	dir := fakeProgram(t, "java", `case "$1" in -version) echo 'version "17"';; --list-modules) echo jdk.compiler@17;; *) echo it broke; exit 3;; esac`)
	addProgram(t, dir, "mvn", `for a; do case "$a" in -DoutputDirectory=*) /bin/mkdir "${a#*=}" && : >"${a#*=}/hessian-4.0.63.jar";; esac; done`)
	_, err := Start(t.Context(), Options{Cache: t.TempDir()})
	require.ErrorIs(t, err, errExited)
	assert.Contains(t, err.Error(), "it broke")
}

func TestFixedPortInUseIsNamed(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", ":0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	taken := l.Addr().(*net.TCPAddr).Port
	_, err = choosePorts(t.Context(), taken, 0, 1)
	require.ErrorContains(t, err, strconv.Itoa(taken))
}

func TestRandomPortsAreDistinctAndFree(t *testing.T) {
	all, err := choosePorts(t.Context(), 0, 0, clusterSize)
	require.NoError(t, err)
	require.Len(t, all, clusterSize)
	seen := map[int]bool{}
	for i, p := range all {
		assert.Equal(t, all[0].http+10*i, p.http)
		assert.Equal(t, []int{p.http, p.http + 1, p.http + 1000, p.http + 1001, p.http - 1000}, p.all())
		for _, port := range p.all() {
			assert.False(t, seen[port], "port %d is taken twice", port)
			seen[port] = true
		}
	}
	assert.NoError(t, allFree(t.Context(), all))
}

// fakeProgram makes PATH hold only a shell script of that name.
func fakeProgram(t *testing.T, name, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	addProgram(t, dir, name, script)
	t.Setenv("PATH", dir)
	t.Setenv("JAVA_HOME", "")
	return dir
}

func addProgram(t *testing.T, dir, name, script string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
}
