package resolver

import (
	"errors"
	"net"
	"syscall"
)

// reach is what an error says of whether somebody was reached.
type reach uint8

const (
	// reachUnknown: there was a connection, or something else was wrong.
	reachUnknown reach = iota
	// reachRefused: the other side said that nobody listens there.
	reachRefused
	// reachNot: there was no connection, for whatever reason.
	reachNot
	// reachOurs: there was none for want of something of this process or machine, which says
	// nothing about the other side.
	reachOurs
)

// reached reads the error of an attempt to connect.
func reached(err error) reach {
	switch {
	case is(err, syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENETUNREACH, syscall.ENETDOWN):
		return reachOurs
	case is(err, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.EHOSTDOWN):
		return reachRefused
	}
	return reachNot
}

// reachedBy reads the error of a request.
func reachedBy(err error) reach {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return reached(op)
	}
	return reachUnknown
}

func is(err error, one ...syscall.Errno) bool {
	for _, e := range one {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
