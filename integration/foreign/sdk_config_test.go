package foreign

import (
	"fmt"
	"time"

	"github.com/nacos-group/nacos-sdk-go/v2/vo"
)

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
