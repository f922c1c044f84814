"""The eyes: detectors of visual anomalies, usable with or without the platform."""
