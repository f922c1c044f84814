"""DTE: how much noise would explain a feature vector; what needs the most is anomalous."""
