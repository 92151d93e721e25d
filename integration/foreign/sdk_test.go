package foreign

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/clients"         //nolint:depguard // the SDK itself is what is tested with
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant" //nolint:depguard // as above
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

// naming returns a client; in the script of everything, one that is connected.
func (s *sdk) naming(sub string) (namingClient, error) {
	param, err := s.param(sub)
	if err != nil {
		return nil, err
	}
	c, err := clients.NewNamingClient(param)
	if err != nil || s.task.Script != "all" {
		return c, err
	}
	return c, until(func() (bool, error) {
		_, err := c.GetAllServicesInfo(vo.GetAllServiceInfoParam{GroupName: "nobody", PageNo: 1, PageSize: 1})
		return true, err
	})
}

// config is naming for configurations.
func (s *sdk) config(sub string) (configClient, error) {
	param, err := s.param(sub)
	if err != nil {
		return nil, err
	}
	param.ClientConfig.DisableUseSnapShot = true // an error is an error
	c, err := clients.NewConfigClient(param)
	if err != nil || s.task.Script != "all" {
		return c, err
	}
	return c, until(func() (bool, error) {
		_, err := c.GetConfig(vo.ConfigParam{DataId: "nothing", Group: s.task.Group})
		return true, err
	})
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

// outcome is a call's result with its error as text.
func outcome[T any](v T, err error) []any {
	if err != nil {
		return []any{v, err.Error()}
	}
	return []any{v, nil}
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
