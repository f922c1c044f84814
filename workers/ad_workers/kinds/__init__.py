"""What a child does, one file per kind of job; each offers `run(desk) -> Done`."""
