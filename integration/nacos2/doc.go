// Package nacos2 shows that the main job also runs on the previous generation of
// Nacos: registration, subscription and rules. It also logs in, on both generations.
package nacos2
