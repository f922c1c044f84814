"""The files of a cluster: what compose reads, its secrets, and what other hosts need to know."""
