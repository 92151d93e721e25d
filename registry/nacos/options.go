package nacos

import "github.com/graylane/graylane/registry"

// Option configures a Client.
type Option func(*options)

type options struct {
	onError func(registry.Service, error)
}

// WithOnError sets what is told about errors that no caller gets: a lost
// connection, a request of a watch or a registration that Nacos refused and that
// will be repeated, an instance that cannot be used, one of ours that Nacos shows
// otherwise than it was registered (a [*ShownError]). The service is zero where an
// error is about the connection, also that credentials travel in plain text. It must
// not block and may be called concurrently. The default is nobody.
func WithOnError(fn func(registry.Service, error)) Option {
	return func(o *options) { o.onError = fn }
}
