package balancer

// Director decides, for every request, who gets it.
type Director struct{}
