package httpx_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/httpx"
	"github.com/graylane/graylane/registry"
)

// authority issues certificates. It is made with the first.
type authority struct {
	roots *x509.CertPool
	root  tls.Certificate
}

// issue returns a certificate for a service, or an IP.
func (a *authority) issue(tb testing.TB, name string) tls.Certificate {
	tb.Helper()
	if a.roots == nil {
		a.root = certificate(tb, &x509.Certificate{
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}, nil)
		a.roots = x509.NewCertPool()
		a.roots.AddCert(a.root.Leaf)
	}
	template := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	return certificate(tb, template, &a.root)
}

// certificate signs a template; a nil issuer means by itself.
func certificate(tb testing.TB, template *x509.Certificate, issuer *tls.Certificate) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: "graylane test"}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if issuer == nil {
		issuer = &tls.Certificate{Leaf: template, PrivateKey: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Leaf, key.Public(), issuer.PrivateKey)
	require.NoError(tb, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(tb, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// trust is an option that trusts the authority; c has what else TLS shall do.
func (a *authority) trust(c *tls.Config) httpx.Option {
	if c == nil {
		c = &tls.Config{}
	}
	c.RootCAs = a.roots
	return httpx.WithTransport(&http.Transport{TLSClientConfig: c, MaxIdleConnsPerHost: httpx.MaxIdleConns})
}

func TestTheServiceIsVerifiedNotTheAddress(t *testing.T) {
	w := newWorld(t)
	w.provideOver(t, "https", "user", "v1", hello)
	impostor := w.provideOver(t, "https", "order", "v1", hello)
	byAddress := w.provideOver(t, "https", "127.0.0.1", "v1", hello)
	w.Set(registry.Service{Name: "stolen"}, impostor.instance("v1"))
	w.Set(registry.Service{Name: "addressed"}, byAddress.instance("v1"))

	c := w.client(t)
	_, body := get(t, c, "https://user/hello")
	assert.Equal(t, "GET /hello", body)
	get(t, c, "https://order/") // a good connection to the impostor's address
	for _, service := range []string{"stolen", "addressed"} {
		err := fetch(t.Context(), c, http.MethodGet, "https://"+service+"/")
		var wrong x509.HostnameError
		require.ErrorAs(t, err, &wrong, service)
		assert.Equal(t, service, wrong.Host)
	}

	t.Run("against the caller's roots", func(t *testing.T) {
		c := w.client(t, httpx.WithTransport(&http.Transport{}))
		var unknown x509.UnknownAuthorityError
		require.ErrorAs(t, fetch(t.Context(), c, http.MethodGet, "https://user/"), &unknown)
	})
	t.Run("by the name that the caller wants for all", func(t *testing.T) {
		c := w.client(t, w.trust(&tls.Config{ServerName: "order"}))
		get(t, c, "https://stolen/")
		require.ErrorContains(t, fetch(t.Context(), c, http.MethodGet, "https://user/"), "not order")
	})
	t.Run("and never without TLS", func(t *testing.T) {
		require.Error(t, fetch(t.Context(), w.client(t, w.trust(nil)), http.MethodGet, "h2c://user/"))
	})
}

func TestTheCallersCertificateIsShown(t *testing.T) {
	w := newWorld(t)
	seen := make(chan string, 1)
	cert := w.issue(t, "consumer")
	server := &tls.Config{
		Certificates: []tls.Certificate{w.issue(t, "user")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.roots,
	}
	s := start(t, w, func(_ http.ResponseWriter, r *http.Request) {
		seen <- r.Proto + " " + r.TLS.PeerCertificates[0].DNSNames[0]
	}, httpx.WithTLS(server), httpx.WithLinger(-1))
	w.announced(t, 1)
	c := w.client(t, w.trust(&tls.Config{Certificates: []tls.Certificate{cert}}))
	get(t, c, "https://user/")
	assert.Equal(t, "HTTP/2.0 consumer", <-seen)
	assert.Empty(t, server.NextProtos, "the caller's configuration stays as it was")

	require.Error(t, fetch(t.Context(), w.client(t), http.MethodGet, "https://user/"), "without one")
	c.CloseIdleConnections()
	s.cancel()
	require.NoError(t, s.wait(t))
}

func TestServeFailsWithoutACertificate(t *testing.T) {
	w := newWorld(t)
	s := start(t, w, hello, httpx.WithTLS(&tls.Config{}))
	err := s.wait(t)
	require.Error(t, err)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
	assert.Empty(t, w.Instances(registry.Service{Name: "user"}))
}
