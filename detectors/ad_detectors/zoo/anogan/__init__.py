"""AnoGAN: a generator that draws normal images alone; what its nearest drawing lacks is anomalous."""
