package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/graylane/graylane/internal/judge"
)

// Names of a service each that nobody else's Nacos has.
const (
	userService  = "quickstart-user"
	orderService = "quickstart-order"
	laneName     = "canary"
)

// stage is everything that takes part.
type stage struct {
	addr         string
	step         time.Duration
	recorder     *judge.Recorder
	operator     *operator
	providers    []*provider
	users        int // instances of the user service, by protocol
	consumer     *consumer
	facts        judge.Facts
	publications []judge.Publication
}

// open starts the providers and the consumer, and waits until it sees all of them.
func open(ctx context.Context, addr string, step time.Duration) (_ *stage, err error) {
	s := &stage{
		addr: addr, step: step,
		recorder: judge.NewRecorder(1_000_000),
		operator: &operator{nacos: addr},
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.operator.remove(ctx); err != nil { // what a broken run may have left
		return nil, fmt.Errorf("no Nacos at %s: %w", addr, err)
	}
	for _, version := range []string{"v1", "v1", "v1", "v2"} {
		if err := s.startProvider(ctx, version, ""); err != nil {
			return nil, err
		}
	}
	order, err := startOrder(ctx, s)
	if order != nil {
		s.providers = append(s.providers, order)
	}
	if err != nil {
		return nil, err
	}
	s.consumer, err = startConsumer(ctx, s)
	return s, err
}

// startProvider starts an instance of the user service, and notes the truth
// about it for the judge.
func (s *stage) startProvider(ctx context.Context, version, lane string) error {
	from := s.recorder.Now()
	p, err := startUser(ctx, s.addr, version, lane)
	if p != nil {
		s.providers = append(s.providers, p)
	}
	if err != nil {
		return err
	}
	s.users++
	for _, addr := range p.addrs {
		s.fact(userService, addr, version, lane, from)
	}
	return nil
}

func (s *stage) fact(service, addr, version, lane string, from int64) {
	labels := map[string]string{"version": version}
	if lane != "" {
		labels["lane"] = lane
	}
	s.facts.Instances = append(s.facts.Instances, judge.Instance{
		Service: service, Addr: addr, Version: version, Labels: labels, From: from,
	})
}

// verdict ends the traffic and lets the judge look at every request.
func (s *stage) verdict() error {
	s.consumer.stop()
	log, err := s.recorder.Log()
	if err != nil {
		return err
	}
	s.facts.Publications = s.publications
	s.facts.RulesWithin, s.facts.ListWithin = time.Second, 5*time.Second
	report, err := judge.Judge(s.facts, log)
	if err != nil {
		return err
	}
	fmt.Printf("\nThe judge: %d requests, %d misrouted, %d failed, %d later than a second after a publish\n",
		report.Requests, report.Misrouted, report.Failed, report.Late)
	for _, line := range report.Convictions(5) {
		fmt.Println(" ", line)
	}
	if report.Misrouted+report.Failed+report.Late > 0 {
		return errors.New("the judge found wrong requests")
	}
	return nil
}

// close ends everything in the order of a tidy shutdown. It has a time of its
// own: the stage's context may have ended.
func (s *stage) close() {
	if s.consumer != nil {
		s.consumer.close()
	}
	for _, p := range s.providers {
		p.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.operator.remove(ctx); err != nil && s.consumer != nil {
		fmt.Println("quickstart: the rule document may be left in Nacos:", err)
	}
}
