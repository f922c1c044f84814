"""What the shell offers while a call of adctl is still being typed."""
