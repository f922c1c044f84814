"""What can be resumed or reused: bundles of files that exist once their manifest does."""
