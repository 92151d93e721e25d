package grpcx_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/graylane/graylane/grpcx"
	"github.com/graylane/graylane/internal/hello"
)

func TestTLSVerifiesTheServicesName(t *testing.T) {
	w := newWorld(t, "")
	cert, roots := certificate(t, greeter.Name)
	serve(t, w.registry, newGreeting().register, grpcx.WithLinger(-1),
		grpcx.WithServerOptions(grpc.Creds(credentials.NewServerTLSFromCert(&cert))))
	trusting := grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, ""))

	_, c := w.dial(t, trusting)
	_, err := c.Say(calling(t, ""), &hello.HelloRequest{}, grpc.WaitForReady(true))
	require.NoError(t, err)

	_, c = w.dial(t, trusting, grpc.WithAuthority("another"))
	_, err = c.Say(calling(t, ""), &hello.HelloRequest{})
	assert.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "valid for "+greeter.Name)
}

// certificate returns a certificate for one name, and the roots that vouch for it.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
