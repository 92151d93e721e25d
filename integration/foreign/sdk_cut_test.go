package foreign

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/model"
	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

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
	return repeat(heard, func(text string) bool { return strings.HasPrefix(text, "after") }, func() error {
		_, err := c.PublishConfig(vo.ConfigParam{DataId: dataID, Group: s.task.Group, Content: "after " + time.Now().String()})
		return err
	})
}

// registerUntilSeen changes the instance until the subscriber is told. The SDK
// drops a list that is not younger than the last by its server's clock.
func (s *sdk) registerUntilSeen(provider namingClient, seen lists) error {
	after := func(list []model.Instance) bool { return len(list) == 1 && list[0].Metadata["version"] == "after" }
	return repeat(seen, after, func() error {
		in := s.instance(80, "after")
		in.Metadata["at"] = time.Now().String()
		_, err := provider.RegisterInstance(in)
		return err
	})
}

// repeat does something every other second until what is wanted is seen.
func repeat[T any](seen <-chan T, wanted func(T) bool, do func() error) error {
	again := time.NewTicker(2 * time.Second)
	defer again.Stop()
	deadline := time.After(patience)
	for err := do(); ; {
		select {
		case v := <-seen:
			if wanted(v) {
				return nil
			}
		case <-again.C:
			err = do()
		case <-deadline:
			return errors.Join(errors.New("not told"), err)
		}
	}
}
