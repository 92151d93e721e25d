package zapx

import (
	"errors"

	"go.uber.org/zap"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// Hooks returns hooks that write to logger: at level info that a service has a
// new state, at level warn that a document was refused, one line per problem,
// and every other error. The hooks may be used by several resolvers.
func Hooks(logger *zap.Logger) resolver.Hooks {
	return resolver.Hooks{
		OnUpdate: func(v *resolver.View, s *resolver.State) {
			fields := append(make([]zap.Field, 0, 6), service(v.Service()), zap.String("protocol", v.Protocol()),
				zap.Uint64("revision", s.Snapshot.Revision()), zap.Int("instances", s.Snapshot.Len()))
			if s.Rules != nil {
				fields = append(fields, zap.String("rules_md5", s.Rules.MD5), zap.Bool("rules_enabled", s.Rules.Enabled))
			}
			logger.Info("service updated", fields...)
		},
		OnError: func(s registry.Service, err error) {
			var refused *resolver.RefusedError
			if !errors.As(err, &refused) {
				logger.Warn("discovery problem", service(s), zap.Error(err))
				return
			}
			problems := make([]string, len(refused.Problems))
			for i, p := range refused.Problems {
				problems[i] = p.String()
			}
			logger.Warn("document refused, the last good one stays in force", service(s),
				zap.String("data_id", refused.DataID), zap.String("md5", refused.MD5), zap.Strings("problems", problems))
		},
	}
}

// service names a service; an error may belong to none.
func service(s registry.Service) zap.Field {
	if s == (registry.Service{}) {
		return zap.Skip()
	}
	return zap.Stringer("service", s)
}
