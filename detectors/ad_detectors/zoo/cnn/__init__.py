"""CNN: a small classifier of normal against anomalous, taught with labelled or synthetic defects."""
