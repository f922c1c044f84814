"""The platform's memory: what is wanted, what happened, and where its results lie."""
