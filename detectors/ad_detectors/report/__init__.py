"""What an evaluation looks like: overlays, galleries, curves and histograms as picture files."""
