package zapx

import (
	"errors"

	"go.uber.org/zap"

	"github.com/graylane/graylane/registry"
	"github.com/graylane/graylane/resolver"
)

// Hooks returns hooks that write to logger: at level info that a service has a
// new state, at level warn that a document was refused, one line per problem,
// and every other error; an instance that was ejected, a target that was withdrawn and
// a list that is held are warnings too, their ends are info. The hooks may be used by
// several resolvers.
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
		OnEvent: func(e resolver.Event) {
			level := zap.WarnLevel
			switch e.Kind {
			case resolver.InstanceReturned, resolver.TargetReturned, resolver.ListSettled:
				level = zap.InfoLevel
			default:
			}
			logger.Log(level, e.Kind.String(), service(e.Service), text("target", e.Target), text("addr", e.Addr),
				count(e.Instances), zap.Error(e.Err))
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
			then := "document refused, the last good one stays in force"
			if refused.LastGood == "" {
				then = "document refused, and this process knows no good one"
			}
			logger.Warn(then, service(s),
				zap.String("data_id", refused.DataID), zap.String("md5", refused.MD5), zap.Strings("problems", problems))
		},
	}
}

// text is a field, if there is something to say.
func text(name, value string) zap.Field {
	if value == "" {
		return zap.Skip()
	}
	return zap.String(name, value)
}

func count(instances int) zap.Field {
	if instances == 0 {
		return zap.Skip()
	}
	return zap.Int("instances", instances)
}

// service names a service; an error may belong to none.
func service(s registry.Service) zap.Field {
	if s == (registry.Service{}) {
		return zap.Skip()
	}
	return zap.Stringer("service", s)
}
