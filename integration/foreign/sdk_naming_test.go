package foreign

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

// lists collects what a subscriber is called with.
type lists chan []model.Instance

func (l lists) subscribe(c namingClient, service, group string) error {
	return c.Subscribe(&vo.SubscribeParam{
		ServiceName: service, GroupName: group,
		SubscribeCallback: func(list []model.Instance, err error) {
			if err == nil {
				l <- sorted(list)
			}
		},
	})
}

// await returns the list with n instances of a version.
func (l lists) await(n int, version string) ([]model.Instance, error) {
	var last []model.Instance
	for deadline := time.After(patience); ; {
		select {
		case last = <-l:
			if len(last) == n && (n == 0 || last[0].Metadata["version"] == version) {
				return last, nil
			}
		case <-deadline:
			return nil, fmt.Errorf("no list with %d instances of %q; the last one is %+v", n, version, last)
		}
	}
}

// sorted returns a copy in the order of addresses: lists have none.
func sorted(list []model.Instance) []model.Instance {
	list = append([]model.Instance{}, list...)
	slices.SortFunc(list, func(a, b model.Instance) int {
		return cmp.Or(cmp.Compare(a.Ip, b.Ip), cmp.Compare(a.Port, b.Port), cmp.Compare(a.ClusterName, b.ClusterName))
	})
	return list
}

func (s *sdk) playNaming() error {
	provider, err := s.naming("provider")
	if err != nil {
		return err
	}
	subscriber, err := s.naming("subscriber")
	if err != nil {
		return err
	}
	seen := make(lists, 100)
	if err := seen.subscribe(subscriber, service, s.task.Group); err != nil {
		return err
	}
	disabled := s.instance(82, "v3")
	disabled.Enable, disabled.ClusterName = false, "c2"
	other := s.instance(81, "v3")
	other.ClusterName, other.Weight = "c2", 10
	v1, v2 := s.instance(80, "v1"), s.instance(80, "v2")
	illegal := s.instance(80, "v1")
	illegal.ServiceName = "a b"
	steps := []struct {
		name    string
		do      func() (bool, error)
		n       int
		version string
	}{
		{"a service without instances", func() (bool, error) { return true, nil }, 0, ""},
		{"register", func() (bool, error) { return provider.RegisterInstance(v1) }, 1, "v1"},
		{"register anew", func() (bool, error) { return provider.UpdateInstance(vo.UpdateInstanceParam(v2)) }, 1, "v2"},
		{"register several", func() (bool, error) {
			return provider.BatchRegisterInstance(vo.BatchRegisterInstanceParam{
				ServiceName: service, GroupName: s.task.Group, Instances: []vo.RegisterInstanceParam{s.instance(80, "v3"), other, disabled},
			})
		}, 2, "v3"},
	}
	for _, step := range steps {
		ok, err := step.do()
		list, lost := seen.await(step.n, step.version)
		if lost != nil {
			return fmt.Errorf("%s: %w, %w", step.name, lost, err)
		}
		if err := s.saw(step.name, append(outcome(ok, err), list)); err != nil {
			return err
		}
	}
	if err := s.playSelect(subscriber); err != nil {
		return err
	}
	ok, err := provider.DeregisterInstance(vo.DeregisterInstanceParam{
		ServiceName: service, GroupName: s.task.Group, Ip: "10.0.0.1", Port: 80, Ephemeral: true,
	})
	list, lost := seen.await(0, "")
	if lost != nil {
		return errors.Join(lost, err)
	}
	if err := s.playPersistent(provider, subscriber); err != nil {
		return err
	}
	none, why := subscriber.SelectInstances(vo.SelectInstancesParam{ServiceName: service, GroupName: s.task.Group, HealthyOnly: true})
	refused, because := provider.RegisterInstance(illegal)
	return errors.Join(
		s.saw("the last one is gone", append(outcome(ok, err), list)),
		s.saw("select from nothing", outcome(none, why)),
		s.saw("an illegal name", outcome(refused, because)),
	)
}

// playPersistent registers an instance that no connection holds.
func (s *sdk) playPersistent(provider, subscriber namingClient) error {
	in := s.instance(80, "v1")
	in.ServiceName, in.Ephemeral = persistent, false
	registered, err := provider.RegisterInstance(in)
	if err != nil {
		return err
	}
	seen := make(lists, 100)
	if err := seen.subscribe(subscriber, persistent, s.task.Group); err != nil {
		return err
	}
	list, err := seen.await(1, "v1")
	if err != nil {
		return err
	}
	gone, err := provider.DeregisterInstance(vo.DeregisterInstanceParam{
		ServiceName: persistent, GroupName: s.task.Group, Ip: in.Ip, Port: in.Port,
	})
	if err != nil {
		return err
	}
	rest, err := seen.await(0, "")
	return errors.Join(err,
		s.saw("register a persistent one", []any{registered, list}), s.saw("deregister it", []any{gone, rest}))
}

// playSelect asks for the instances of the batch.
func (s *sdk) playSelect(c namingClient) error {
	all, err := c.SelectAllInstances(vo.SelectAllInstancesParam{ServiceName: service, GroupName: s.task.Group})
	if err != nil {
		return err
	}
	cluster, err := c.SelectInstances(vo.SelectInstancesParam{
		ServiceName: service, GroupName: s.task.Group, Clusters: []string{"c2"}, HealthyOnly: true,
	})
	if err != nil {
		return err
	}
	info, err := c.GetService(vo.GetServiceParam{ServiceName: service, GroupName: s.task.Group})
	if err != nil {
		return err
	}
	info.LastRefTime, info.Hosts = 0, sorted(info.Hosts)
	services, err := c.GetAllServicesInfo(vo.GetAllServiceInfoParam{GroupName: s.task.Group, PageNo: 1, PageSize: 10})
	if err != nil {
		return err
	}
	return errors.Join(
		s.saw("select all", sorted(all)),
		s.saw("select a cluster", sorted(cluster)),
		s.saw("the service", info),
		s.saw("the group's services", services),
		s.saw("the server is healthy", c.ServerHealthy()),
	)
}
