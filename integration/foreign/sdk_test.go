package foreign

import (
	"bufio"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"         //nolint:depguard // the SDK itself is what is tested with
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant" //nolint:depguard // as above
	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

// patience is how long a client waits for what must happen.
const patience = 20 * time.Second

// sdk plays the SDK's script, in a process of its own.
type sdk struct {
	task task
	out  *json.Encoder
}

// observation is one line that a client's process prints.
type observation struct {
	Step string `json:"step"`
	Saw  any    `json:"saw"`
}

func (s *sdk) saw(step string, what any) error {
	return s.out.Encode(observation{step, what})
}

func (s *sdk) param(sub string) (vo.NacosClientParam, error) {
	host, text, err := net.SplitHostPort(s.task.Addr)
	if err != nil {
		return vo.NacosClientParam{}, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return vo.NacosClientParam{}, err
	}
	dir := s.task.Dir + "/" + sub // a folder for each client, as if each were elsewhere
	return vo.NacosClientParam{
		ClientConfig: constant.NewClientConfig(constant.WithLogDir(dir), constant.WithCacheDir(dir),
			constant.WithUsername(s.task.User), constant.WithPassword(s.task.Password),
			constant.WithNotLoadCacheAtStart(true), constant.WithUpdateCacheWhenEmpty(true), constant.WithLogLevel("error")),
		ServerConfigs: []constant.ServerConfig{*constant.NewServerConfig(host, port)},
	}, nil
}

func (s *sdk) naming(sub string) (namingClient, error) {
	param, err := s.param(sub)
	if err != nil {
		return nil, err
	}
	return clients.NewNamingClient(param)
}

func (s *sdk) config(sub string) (configClient, error) {
	param, err := s.param(sub)
	if err != nil {
		return nil, err
	}
	return clients.NewConfigClient(param)
}

// play plays the whole script.
func (s *sdk) play() error {
	if err := s.playNaming(); err != nil {
		return fmt.Errorf("naming: %w", err)
	}
	if err := s.playConfig(); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	return s.playCut()
}

func (s *sdk) instance(port uint64, version string) vo.RegisterInstanceParam {
	return vo.RegisterInstanceParam{
		ServiceName: service, GroupName: s.task.Group, Ip: "10.0.0.1", Port: port, Weight: 0.5,
		Enable: true, Healthy: true, Ephemeral: true, Metadata: map[string]string{"version": version},
	}
}

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

// outcome is a call's result with its error as text.
func outcome[T any](v T, err error) []any {
	if err != nil {
		return []any{v, err.Error()}
	}
	return []any{v, nil}
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

// contents collects what a listener is called with.
type contents chan string

func (c contents) await(want string) (string, error) {
	last := "nothing"
	for deadline := time.After(patience); ; {
		select {
		case last = <-c:
			if last == want {
				return last, nil
			}
		case <-deadline:
			return "", fmt.Errorf("the listener has not seen %q, the last was %q", want, last)
		}
	}
}

func (c contents) listen(client configClient, group string) error {
	return client.ListenConfig(vo.ConfigParam{
		DataId: dataID, Group: group, OnChange: func(_, _, _, data string) { c <- data },
	})
}

// silence is what a listener hears of a step that changes nothing.
const silence = "silence"

func (s *sdk) playConfig() error {
	publisher, err := s.config("publisher")
	if err != nil {
		return err
	}
	listener, err := s.config("listener")
	if err != nil {
		return err
	}
	about := func(content, cas string) vo.ConfigParam {
		return vo.ConfigParam{DataId: dataID, Group: s.task.Group, Content: content, CasMd5: cas, Type: "yaml"}
	}
	if err := s.saw("get what is not there", outcome(publisher.GetConfig(about("", "")))); err != nil {
		return err
	}
	if err := s.saw("publish", outcome(publisher.PublishConfig(about("a: 1", "")))); err != nil {
		return err
	}
	if err := until(func() (bool, error) { // Nacos may show it late
		text, err := publisher.GetConfig(about("", ""))
		return text != "", err
	}); err != nil {
		return err
	}
	if err := s.saw("get", outcome(publisher.GetConfig(about("", "")))); err != nil {
		return err
	}
	seen := make(contents, 100)
	if err := seen.listen(listener, s.task.Group); err != nil {
		return err
	}
	steps := []struct {
		name string
		do   func() (bool, error)
		sees string
	}{
		{"listen", func() (bool, error) { return true, nil }, "a: 1"},
		{"change", func() (bool, error) { return publisher.PublishConfig(about("a: ü", "")) }, "a: ü"},
		{"publish over what one has seen", func() (bool, error) { return publisher.PublishConfig(about("a: 3", digest("a: ü"))) }, "a: 3"},
		{"publish over what one has not seen", func() (bool, error) { return publisher.PublishConfig(about("a: 4", digest("a: ü"))) }, silence},
		{"delete", func() (bool, error) { return publisher.DeleteConfig(about("", "")) }, ""},
		{"delete what is not there", func() (bool, error) { return publisher.DeleteConfig(about("", "")) }, silence},
		{"create again", func() (bool, error) { return publisher.PublishConfig(about("a: 5", "")) }, "a: 5"},
	}
	for _, step := range steps {
		settle()
		got, why := step.do()
		if err := s.saw(step.name, outcome(got, why)); err != nil {
			return err
		}
		if step.sees == silence {
			continue
		}
		data, err := seen.await(step.sees)
		if err != nil {
			return fmt.Errorf("%s: %w, %w", step.name, err, why)
		}
		if err := s.saw(step.name+": the listener", data); err != nil {
			return err
		}
	}
	found, err := publisher.SearchConfig(vo.SearchConfigParam{
		Search: "accurate", DataId: dataID, Group: s.task.Group, PageNo: 1, PageSize: 10,
	})
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	for i := range found.PageItems {
		found.PageItems[i].Id = "0"
	}
	return s.saw("search", found)
}

// playCut has the connections broken and looks whether everything comes back.
func (s *sdk) playCut() error {
	provider, err := s.naming("provider")
	if err != nil {
		return err
	}
	subscriber, err := s.naming("subscriber")
	if err != nil {
		return err
	}
	conf, err := s.config("both")
	if err != nil {
		return err
	}
	if _, err := provider.RegisterInstance(s.instance(80, "before")); err != nil {
		return err
	}
	seen, data := make(lists, 100), make(contents, 100)
	if err := errors.Join(seen.subscribe(subscriber, service, s.task.Group), data.listen(conf, s.task.Group)); err != nil {
		return err
	}
	if _, err := seen.await(1, "before"); err != nil {
		return err
	}
	if _, err := data.await("a: 5"); err != nil {
		return err
	}
	if err := s.cut(); err != nil {
		return err
	}
	newcomer, err := s.naming("newcomer")
	if err != nil {
		return err
	}
	fresh := make(lists, 100)
	if err := fresh.subscribe(newcomer, service, s.task.Group); err != nil {
		return err
	}
	again, err := fresh.await(1, "before")
	if err != nil {
		return fmt.Errorf("after the cut: %w", err)
	}
	if err := s.registerUntilSeen(provider, seen); err != nil {
		return fmt.Errorf("after the cut: %w", err)
	}
	if err := s.publishUntilHeard(conf, data); err != nil {
		return fmt.Errorf("after the cut: %w", err)
	}
	return errors.Join(
		s.saw("registered again", again), s.saw("subscribed again", true), s.saw("listening again", true),
	)
}

// settle waits until the SDK listens again, which nothing tells. A change that
// meets its request to listen it tells only minutes later.
func settle() { <-time.After(300 * time.Millisecond) }

// publishUntilHeard publishes until the listener is told.
func (s *sdk) publishUntilHeard(c configClient, heard contents) error {
	again := time.NewTicker(2 * time.Second)
	defer again.Stop()
	err := errors.New("not told")
	for range patience / (2 * time.Second) {
		_, refused := c.PublishConfig(vo.ConfigParam{DataId: dataID, Group: s.task.Group, Content: "after " + strconv.FormatInt(time.Now().UnixNano(), 36)})
		err = errors.Join(err, refused)
		for told := true; told; {
			select {
			case text := <-heard:
				if strings.HasPrefix(text, "after") {
					return nil
				}
			case <-again.C:
				told = false
			}
		}
	}
	return err
}

// registerUntilSeen changes the instance until the subscriber is told. The SDK
// drops a list that is not younger than the last by its server's clock.
func (s *sdk) registerUntilSeen(provider namingClient, seen lists) error {
	again := time.NewTicker(2 * time.Second)
	defer again.Stop()
	err := errors.New("not told")
	for i := range int(patience / (2 * time.Second)) {
		in := s.instance(80, "after")
		in.Metadata["try"] = strconv.Itoa(i)
		_, refused := provider.RegisterInstance(in)
		err = errors.Join(err, refused)
		for told := true; told; {
			select {
			case list := <-seen:
				if len(list) == 1 && list[0].Metadata["version"] == "after" {
					return nil
				}
			case <-again.C:
				told = false
			}
		}
	}
	return err
}

// cut asks whoever started this process to break the connections, and waits.
func (s *sdk) cut() error {
	if err := s.saw(cutHere, nil); err != nil {
		return err
	}
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}

// until repeats a call until it succeeds.
func until(do func() (bool, error)) error {
	tick := time.NewTicker(300 * time.Millisecond) // the SDK limits how often one may ask
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		ok, err := do()
		if ok && err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("not accepted: %w", err)
		}
	}
}

func digest(content string) string {
	sum := md5.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

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
	if _, err := naming.RegisterInstance(one); err != nil {
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
	if _, err := conf.PublishConfig(about); err != nil {
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
