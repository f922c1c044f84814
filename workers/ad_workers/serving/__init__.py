"""`adctl serve`: a fitted model behind HTTP, in batches, on LitServe; only the scorers load torch."""
