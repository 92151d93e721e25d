// Package nacos2 shows that the main job also runs on the generation of Nacos
// before, registration, subscription and rules; and on both where they ask for a login.
package nacos2
