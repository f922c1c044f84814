"""Who should wake up: rings that carry no truth, so that lost or doubled ones are harmless."""
