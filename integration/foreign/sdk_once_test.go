package foreign

import (
	"errors"

	"github.com/nacos-group/nacos-sdk-go/v2/clients" //nolint:depguard // the SDK itself is what is tested with
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

// playLogin tries a little of everything.
func (s *sdk) playLogin() error {
	conf, err := s.config("config")
	if err != nil {
		return err
	}
	naming, err := s.naming("naming")
	if err != nil {
		return err
	}
	about := vo.ConfigParam{DataId: dataID, Group: s.task.Group, Content: "a: 1"}
	services, err := naming.GetAllServicesInfo(vo.GetAllServiceInfoParam{GroupName: s.task.Group, PageNo: 1, PageSize: 10})
	return errors.Join(
		s.saw("get", outcome(conf.GetConfig(about))),
		s.saw("publish", outcome(conf.PublishConfig(about))),
		s.saw("services", outcome(services, err)),
		s.saw("register", outcome(naming.RegisterInstance(s.instance(80, "v1")))),
	)
}

// playPayloads does what playOwn does.
func (s *sdk) playPayloads() error {
	param, err := s.param("naming")
	if err != nil {
		return err
	}
	param.ClientConfig.AsyncUpdateService = true // ask now and then, as our client does
	naming, err := clients.NewNamingClient(param)
	if err != nil {
		return err
	}
	one, two := s.instance(80, "v1"), s.instance(81, "v1")
	one.ClusterName, two.ClusterName = "DEFAULT", "DEFAULT"
	if err := until(func() (bool, error) { return naming.RegisterInstance(one) }); err != nil {
		return err
	}
	if _, err := naming.BatchRegisterInstance(vo.BatchRegisterInstanceParam{
		ServiceName: service, GroupName: s.task.Group, Instances: []vo.RegisterInstanceParam{one, two},
	}); err != nil {
		return err
	}
	subscription := &vo.SubscribeParam{
		ServiceName: service, GroupName: s.task.Group, SubscribeCallback: func([]model.Instance, error) {},
	}
	if err := naming.Subscribe(subscription); err != nil {
		return err
	}
	conf, err := s.config("config")
	if err != nil {
		return err
	}
	about := vo.ConfigParam{DataId: dataID, Group: s.task.Group, Content: "a: 1", Type: "yaml"}
	if err := until(func() (bool, error) { return conf.PublishConfig(about) }); err != nil {
		return err
	}
	if _, err := conf.GetConfig(about); err != nil {
		return err
	}
	heard := make(contents, 100)
	if err := heard.listen(conf, s.task.Group); err != nil {
		return err
	}
	for range 2 { // the first may be found by listening, only the second is pushed
		if err := s.publishUntilHeard(conf, heard); err != nil {
			return err
		}
	}
	if err := s.cut(); err != nil { // where nothing is cut: the rest comes by itself
		return err
	}
	if err := naming.Unsubscribe(subscription); err != nil {
		return err
	}
	_, err = naming.DeregisterInstance(vo.DeregisterInstanceParam{
		ServiceName: service, GroupName: s.task.Group, Ip: one.Ip, Port: one.Port, Cluster: one.ClusterName, Ephemeral: true,
	})
	return err
}
