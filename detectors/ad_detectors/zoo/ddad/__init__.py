"""DDAD: anomalies as the distance to a reconstruction conditioned on the image itself."""
