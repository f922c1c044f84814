"""What was measured, told to MLflow: a projection of committed steps that can be rebuilt."""
