package nacos

import "github.com/graylane/graylane/config"

// Option configures a Client.
type Option func(*options)

type options struct {
	group   string
	onError func(dataID string, err error)
}

// WithGroup sets the Nacos group of the documents. The default is
// [config.DefaultGroup].
func WithGroup(group string) Option { return func(o *options) { o.group = group } }

// WithOnError sets what is told about errors that no caller gets: a lost
// connection, a request of a watch that Nacos refused and that will be repeated, a
// document that cannot be used. The data ID is "" where an error is about the
// connection, also that credentials travel in plain text. It must not block and may be called concurrently. The default is
// nobody.
func WithOnError(fn func(dataID string, err error)) Option {
	return func(o *options) { o.onError = fn }
}

func newOptions(opts []Option) (options, error) {
	o := options{group: config.DefaultGroup}
	for _, opt := range opts {
		opt(&o)
	}
	return o, checkName("group", o.group)
}
