"""How well scores tell anomalous from normal."""
