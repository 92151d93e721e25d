package registry

import (
	"cmp"
	"iter"
	"maps"
	"slices"
)

// Snapshot is one list of a service's instances. It is immutable: any number of
// goroutines may read it, nobody may write what it returns.
type Snapshot struct {
	service    Service
	revision   uint64
	instances  []Instance // sorted by ID
	duplicates int
}

// NewSnapshot makes a snapshot of the list. It copies and sorts the slice and
// takes ownership of the metadata maps. Of two instances with one ID the later
// stays; Duplicates counts the others. An instance without an ID gets
// InstanceID(Addr, Cluster).
func NewSnapshot(s Service, revision uint64, in []Instance) *Snapshot {
	list := slices.Clone(in)
	for i := range list {
		if list[i].Cluster == "" {
			list[i].Cluster = DefaultCluster
		}
		if list[i].ID == "" {
			list[i].ID = InstanceID(list[i].Addr, list[i].Cluster)
		}
	}
	slices.SortStableFunc(list, func(a, b Instance) int { return cmp.Compare(a.ID, b.ID) })
	kept := list[:0]
	for i := range list {
		if n := len(kept); n > 0 && kept[n-1].ID == list[i].ID {
			kept[n-1] = list[i]
			continue
		}
		kept = append(kept, list[i])
	}
	duplicates := len(list) - len(kept)
	clear(list[len(kept):])
	return &Snapshot{service: s, revision: revision, instances: kept, duplicates: duplicates}
}

// Service returns whose instances these are.
func (s *Snapshot) Service() Service { return s.service }

// Revision returns the number that the maker gave to this list.
func (s *Snapshot) Revision() uint64 { return s.revision }

// Len returns the number of instances.
func (s *Snapshot) Len() int { return len(s.instances) }

// At returns instance i, 0 ≤ i < Len. Instances are sorted by ID.
func (s *Snapshot) At(i int) *Instance { return &s.instances[i] }

// All yields the instances with their indices, sorted by ID.
func (s *Snapshot) All() iter.Seq2[int, *Instance] {
	return func(yield func(int, *Instance) bool) {
		for i := range s.instances {
			if !yield(i, &s.instances[i]) {
				return
			}
		}
	}
}

// Duplicates returns how many instances were dropped because a later one had
// the same ID.
func (s *Snapshot) Duplicates() int { return s.duplicates }

// SameInstances reports whether both snapshots hold equal instances; services
// and revisions are not compared.
func (s *Snapshot) SameInstances(o *Snapshot) bool {
	return slices.EqualFunc(s.instances, o.instances, func(a, b Instance) bool {
		return a.ID == b.ID && a.Addr == b.Addr && a.Cluster == b.Cluster && a.Weight == b.Weight &&
			a.Healthy == b.Healthy && a.Enabled == b.Enabled && maps.Equal(a.Metadata, b.Metadata)
	})
}
