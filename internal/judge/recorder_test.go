package judge

import (
	"bytes"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/graylane/graylane/config"
	configmemory "github.com/graylane/graylane/config/memory"
	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/registry/memory"
	"github.com/graylane/graylane/resolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asks is a config.Request with one header.
type asks struct{ version string }

func (r asks) Header(name config.HeaderName) (string, bool) {
	return r.version, name.Lower == "x-gray-version" && r.version != ""
}
func (asks) Cookie(string) (string, bool) { return "", false }
func (asks) Query(string) (string, bool)  { return "", false }
func (asks) Path() string                 { return "/" }
func (asks) Method() string               { return "GET" }
func (asks) User() string                 { return "" }
func (asks) Lane() string                 { return "" }

func consumer(t *testing.T, rec *Recorder, doc string) *resolver.View {
	t.Helper()
	reg := memory.New()
	order := registry.Service{Name: "order"}.WithDefaults()
	var list []registry.Instance
	for _, in := range facts(doc).Instances {
		i := registry.NewInstance(in.Addr)
		i.Metadata = in.labels()
		list = append(list, i)
	}
	reg.Set(order, list...)
	res, err := resolver.New(reg, configmemory.New(map[string]string{config.ServiceDocID(order.Name): doc}), resolver.WithHooks(rec.Hooks()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, res.Close()) })
	v, err := res.View(order, "")
	require.NoError(t, err)
	t.Cleanup(v.Close)
	require.NoError(t, v.Ready(t.Context()))
	return v
}

func request(id, version string) Request {
	r := Request{ID: id, Service: "order", Method: "GET", Path: "/"}
	if version != "" {
		r.Headers = map[string]string{"x-gray-version": version}
	}
	return r
}

// atZero returns the facts of the cases with the document there from the start.
func atZero(doc string) Facts {
	f := facts(doc)
	f.Publications[0].Sent, f.Publications[0].Answered = 0, 0
	return f
}

func TestRecordedRequestsAreJudged(t *testing.T) {
	rec := NewRecorder(1000)
	v := consumer(t, rec, strict)
	version := map[string]string{a1: "v1", a2: "v2", a3: "v2"}

	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			want := []string{"", "v2", "v9"}[i%3]
			ctx, answered := rec.Begin(t.Context(), request(strconv.Itoa(i), want))
			c, err := v.Pick(ctx, asks{want}, nil)
			if err != nil {
				answered("", err)
				return
			}
			if i%2 == 0 { // a try fails, the next one is answered
				c.Done(ctx, resolver.Outcome{Err: errors.New("refused")})
				c, err = c.Next(ctx, nil)
				if err != nil {
					answered("", err)
					return
				}
			}
			c.Done(ctx, resolver.Outcome{Status: 200})
			answered(version[c.Addr()], nil)
			answered("v9", errors.New("twice"))
		})
	}
	wg.Wait()
	log, err := rec.Log()
	require.NoError(t, err)
	rep, err := Judge(atZero(strict), log)
	require.NoError(t, err)
	assert.Empty(t, rep.Convictions(3))
	assert.Equal(t, 100, rep.Requests)
	assert.Equal(t, 33, rep.Failed, "those that asked for v9")
	assert.Equal(t, map[string]int{"v1": 34, "v2": 33}, rep.Versions)
	tries := len(log)
	assert.Equal(t, 133, tries, "33 requests were tried twice")
	for i := range log {
		a := &log[i]
		assert.LessOrEqual(t, a.Begin, a.Start)
		assert.LessOrEqual(t, a.Start, a.End)
		assert.Equal(t, (&Publication{Text: strict}).Revision(), a.Rules)
	}
}

func TestPicksOfOneInstanceEndInTheirOrder(t *testing.T) {
	rec := NewRecorder(10)
	v := consumer(t, rec, toDefault)
	ctx, answered := rec.Begin(t.Context(), request("1", ""))
	for _, failed := range []error{errors.New("reset"), nil} {
		c, err := v.Pick(ctx, asks{}, nil)
		require.NoError(t, err)
		c.Done(ctx, resolver.Outcome{Err: failed})
	}
	answered("v1", nil)
	log, err := rec.Log()
	require.NoError(t, err)
	require.Len(t, log, 2)
	assert.Equal(t, "reset", log[0].Error)
	assert.False(t, log[0].Last)
	assert.Empty(t, log[1].Error)
	assert.True(t, log[1].Last)
}

func TestLyingServerIsConvicted(t *testing.T) {
	rec := NewRecorder(10)
	v := consumer(t, rec, byHeader)
	ctx, answered := rec.Begin(t.Context(), request("1", "v2"))
	c, err := v.Pick(ctx, asks{"v2"}, nil)
	require.NoError(t, err)
	c.Done(ctx, resolver.Outcome{Status: 200, Version: "v2"})
	answered("v1", nil)
	log, err := rec.Log()
	require.NoError(t, err)
	rep, err := Judge(atZero(byHeader), log)
	require.NoError(t, err)
	assert.Equal(t, 1, rep.Misrouted)
}

func TestRequestThatNobodyAnnouncedIsConvicted(t *testing.T) {
	rec := NewRecorder(10)
	v := consumer(t, rec, byHeader)
	c, err := v.Pick(t.Context(), asks{}, nil)
	require.NoError(t, err)
	c.Done(t.Context(), resolver.Outcome{})
	log, err := rec.Log()
	require.NoError(t, err)
	rep, err := Judge(atZero(byHeader), log)
	require.NoError(t, err)
	assert.Equal(t, 1, rep.Misrouted)
}

func TestRequestThatFailedBeforeAnyPickIsFailed(t *testing.T) {
	rec := NewRecorder(10)
	_, answered := rec.Begin(t.Context(), request("1", ""))
	answered("", errors.New("no route"))
	log, err := rec.Log()
	require.NoError(t, err)
	rep, err := Judge(facts(toDefault), log)
	require.NoError(t, err)
	assert.Equal(t, 1, rep.Requests)
	assert.Equal(t, 1, rep.Failed)
	assert.Zero(t, rep.Misrouted)
}

func TestIncompleteLogIsSaid(t *testing.T) {
	rec := NewRecorder(2)
	for i := range 3 {
		_, answered := rec.Begin(t.Context(), request(strconv.Itoa(i), ""))
		answered("v1", nil)
	}
	_, _ = rec.Begin(t.Context(), request("open", ""))
	log, err := rec.Log()
	require.ErrorContains(t, err, "1 requests are not answered, 1 attempts did not fit")
	assert.Len(t, log, 2)
}

func TestLogSurvivesItsFile(t *testing.T) {
	log := []Attempt{
		line(byHeader, a2, "v2", all(headers("x-gray-version", "v2"), decided("rule", "asked", "v2", "", -1))),
		line(split, a1, "v1", decided("rule", "ten-percent", "v1", "", 4711)),
	}
	var file bytes.Buffer
	require.NoError(t, WriteLog(&file, log))
	back, err := ReadLog(&file)
	require.NoError(t, err)
	log[1].Headers = nil // an empty map is not written
	assert.Equal(t, log, back)

	_, err = ReadLog(bytes.NewBufferString("{}\n{\"bogus\":1}\n"))
	require.ErrorContains(t, err, "line 2 of the log")
}

func BenchmarkRecord(b *testing.B) {
	rec := NewRecorder(b.N)
	req := request("1", "v2")
	b.ReportAllocs()
	for b.Loop() {
		_, answered := rec.Begin(b.Context(), req)
		answered("v2", nil)
	}
}
