package lane

import "strings"

const (
	// HeaderBaggage is the header of W3C baggage
	// (https://www.w3.org/TR/baggage/).
	HeaderBaggage = "baggage"
	// BaggageMember is the member of W3C baggage that holds the lane, for services
	// that carry baggage on and know nothing of graylane.
	BaggageMember = "gray-lane"
)

// maxBaggage and maxMembers are the limits of the W3C specification. Baggage that
// is larger is not read; what would make it larger is not written.
const (
	maxBaggage = 8192
	maxMembers = 180
)

// BaggageLane returns the lane that the lines of a baggage header name: the value
// of the one member gray-lane, if it is a name; else "".
func BaggageLane(lines []string) string {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if size > maxBaggage {
		return ""
	}
	found := ""
	for member := range members(lines) {
		value, ok := laneOf(member)
		switch {
		case !ok:
		case found != "" || !Valid(value): // two of them, or no name: no lane
			return ""
		default:
			found = value
		}
	}
	return found
}

// WithBaggageLane returns the lines of a baggage header as one line in which the
// lane is as given, "" for none; changed is false if the lines say so already.
// Other members stay as they are. A lane for which there is no room is not
// written.
func WithBaggageLane(lines []string, lane string) (line string, changed bool) {
	if lane == "" && !strings.Contains(strings.Join(lines, ","), BaggageMember) {
		return "", false
	}
	var b strings.Builder
	n, seen, differs := 0, 0, false
	for member := range members(lines) {
		if value, ok := laneOf(member); ok {
			seen++
			differs = differs || value != lane
			continue
		}
		if n > 0 {
			b.WriteByte(',')
		}
		n++
		b.WriteString(member)
	}
	if lane == "" {
		return b.String(), seen > 0
	}
	if seen == 1 && !differs {
		return "", false
	}
	if n < maxMembers && b.Len()+len(",=")+len(BaggageMember)+len(lane) <= maxBaggage {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(BaggageMember + "=" + lane)
	} else if seen == 0 {
		return "", false
	}
	return b.String(), true
}

// members yields the list members of all lines, without the spaces around them.
func members(lines []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for member := range strings.SplitSeq(line, ",") {
				if member = strings.Trim(member, " \t"); member != "" && !yield(member) {
					return
				}
			}
		}
	}
}

// laneOf returns the value of a list member, true if it is the one for the lane.
// Properties, which follow a semicolon, mean nothing here.
func laneOf(member string) (string, bool) {
	key, value, _ := strings.Cut(member, "=")
	if strings.TrimRight(key, " \t") != BaggageMember {
		return "", false
	}
	value, _, _ = strings.Cut(value, ";")
	return strings.Trim(value, " \t"), true
}
