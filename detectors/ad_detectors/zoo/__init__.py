"""The detectors: each module or package in this folder is one, named as the detector is."""
