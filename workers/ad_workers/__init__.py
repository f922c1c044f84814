"""The hands: hold a lease, run one child process per attempt."""
