"""Sets of feature vectors: a few that cover many, and which of them is nearest."""
