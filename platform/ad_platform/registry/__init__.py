"""Which model carries which alias, decided in the store and projected into MLflow's registry."""
