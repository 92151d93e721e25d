// Package cluster shows what holds on three nodes of a real Nacos: what is said
// to one is heard at another, and one that is killed costs no request.
//
// The tests print what they measure in lines that begin with FIGURE.
package cluster
