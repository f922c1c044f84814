"""Moving an installation from one machine's own services to those of a cluster, and back from its copy."""
