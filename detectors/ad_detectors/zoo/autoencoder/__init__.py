"""Autoencoder: squeeze an image through a narrow network; what does not come back is anomalous."""
