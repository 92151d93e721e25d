// Package announce tells the fleet's operator what each consumer has applied, and
// reads what consumers tell.
//
// For each service that a process consumes, it registers an ephemeral instance in
// Nacos: a service of the same name and namespace, in the group [Group]. Nobody
// calls it; its metadata, an [Announcement], says which version of the rule
// document is in force, or why a newer one was refused. It goes with the
// process's connection to Nacos, so what is listed is who is there.
package announce
